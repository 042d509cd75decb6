"""Prices an order from the catalogue."""

from collections.abc import Mapping

from oms_order.catalogue import CatalogueItem
from oms_order.lines import MAX_TOTAL
from oms_order.problems import DuplicateItem, MixedCurrencies, OutOfStock, TotalTooLarge, UnknownItem
from oms_order.schemas import OrderBody


def lines_of(body: OrderBody, known: Mapping[str, CatalogueItem]) -> list[tuple[CatalogueItem, int]]:
    """The item and the quantity of each line. Raises DuplicateItem or UnknownItem."""
    positions: dict[str, int] = {}
    for position, item in enumerate(body.items):
        if positions.setdefault(item.id, position) != position:
            raise DuplicateItem((f"items[{position}].id", "is already in the order"))
    unknown = [f"items[{position}].id" for id_, position in positions.items() if id_ not in known]
    if unknown:
        raise UnknownItem(*((field, "is not an item") for field in unknown))
    return [(known[item.id], item.quantity) for item in body.items]


def check_available(lines: list[tuple[CatalogueItem, int]]) -> None:
    """Raise OutOfStock if an item is known to be sold out. Passing does not guarantee that there is enough of each."""
    sold_out = [f"items[{position}].id" for position, (item, _) in enumerate(lines) if not item.available]
    if sold_out:
        raise OutOfStock(*((field, "is sold out") for field in sold_out))


def total(lines: list[tuple[CatalogueItem, int]]) -> int:
    """The lines' total in minor units. Raises TotalTooLarge or MixedCurrencies."""
    amount = sum(item.unit_price * quantity for item, quantity in lines)
    if amount > MAX_TOTAL:
        raise TotalTooLarge(("items", "come to more than can be charged"))
    for position, (item, _) in enumerate(lines):
        if item.currency != lines[0][0].currency:
            raise MixedCurrencies((f"items[{position}].id", "differs"))
    return amount
