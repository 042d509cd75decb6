"""Reads and changes the catalogue for the routes. Every function may raise Problem."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter

from oms_chassis.db import Database, Transaction
from oms_chassis.http import pages
from oms_chassis.statements import Row, Rows
from oms_inventory import repository, stock
from oms_inventory.conditions import NONE, Conditions
from oms_inventory.problems import IdempotencyKeyReused, ItemChanged, ItemExists, ItemNotFound, StockTooLow
from oms_inventory.repository import NewItem, journal
from oms_inventory.schemas import CatalogueItem, DifferenceView, IdText, ItemBody, ItemView, MovementView

_ID = TypeAdapter[str](IdText)


@dataclass(frozen=True)
class StockChange:
    """A change of an item's stock by hand: by how much, by whom and why, and what the item must be like. With a `key`,
    it is made once, however often it is requested."""

    item_id: str
    quantity: int
    who: str = "anonymous"
    why: str | None = None
    key: str | None = None
    wanted: Conditions = NONE


def seed(database: Database, items: Sequence[CatalogueItem], currency: str) -> None:
    """Create the items that do not exist yet; safe to call from several replicas at once."""
    new = [NewItem(item.id, item.name, item.unit_price, item.on_hand or 0) for item in items]
    with database.transaction() as transaction:
        stock.create(transaction, new, currency)


def page(database: Database, limit: int, cursor: str | None) -> tuple[list[ItemView], str | None]:
    """At most `limit` items, sorted by id, and the cursor of the next page if there is one."""
    rows = repository.page(database, _position(cursor), limit + 1)
    items = [ItemView.of(row) for row in rows[:limit]]
    return items, pages.encode(items[-1].id.encode()) if len(rows) > limit else None


def find(database: Database, item_id: str) -> ItemView:
    """One item."""
    return ItemView.of(_only(repository.find(database, item_id)))


def put(database: Database, item_id: str, body: ItemBody, wanted: Conditions, currency: str) -> tuple[ItemView, bool]:
    """Create or change an item, if the conditions allow it; returns the item, and whether it is new."""
    with database.transaction() as transaction:
        if wanted.allow_change_of(None):
            new = NewItem(item_id, body.name, body.unit_price, body.on_hand or 0)
            if created := stock.create(transaction, [new], currency):
                return ItemView.of(created[0]), True
        return _change(transaction, item_id, body, wanted), False


def _change(transaction: Transaction, item_id: str, body: ItemBody, wanted: Conditions) -> ItemView:
    row = next(iter(repository.lock_item(transaction, item_id)), None)
    if row is None or not wanted.allow_change_of(ItemView.of(row)):
        raise _changed()
    if body.on_hand not in (None, row.initial):
        raise ItemExists(("onHand", "is given only when an item is created; restock it instead"))
    if (body.name, body.unit_price) == (row.name, row.unit_price):
        return ItemView.of(row)
    return ItemView.of(stock.change(transaction, item_id, body.name, body.unit_price))


def restock(database: Database, change: StockChange) -> tuple[ItemView, bool]:
    """Add to an item's stock; returns the item, and whether the change had been made before."""
    return _make_once(database, change, _restock)


def correct(database: Database, change: StockChange) -> tuple[ItemView, bool]:
    """Correct an item's stock, up or down; returns the item, and whether the change had been made before."""
    return _make_once(database, change, _correct)


def _restock(transaction: Transaction, _: Row, change: StockChange) -> Row:
    return stock.add(transaction, change.item_id, change.quantity, change.who, change.why)


def _correct(transaction: Transaction, current: Row, change: StockChange) -> Row:
    if current.on_hand + change.quantity < 0:
        raise StockTooLow(("quantity", "takes away more than there is"))
    return stock.correct(transaction, change.item_id, change.quantity, change.who, change.why)


def _make_once(
    database: Database, change: StockChange, make: Callable[[Transaction, Row, StockChange], Row]
) -> tuple[ItemView, bool]:
    with database.transaction() as transaction:
        current = _only(repository.lock_item(transaction, change.item_id))
        if _was_made(transaction, change):
            return ItemView.of(current), True
        if not change.wanted.allow_movement_of(ItemView.of(current)):
            raise _changed()
        return ItemView.of(make(transaction, current, change)), False


def movements(database: Database, item_id: str, limit: int) -> list[MovementView]:
    """The newest movements of an item, at most `limit`."""
    _only(repository.find(database, item_id))
    return [MovementView.of(row) for row in journal.movements(database, item_id, limit)]


def differences(database: Database, limit: int, cursor: str | None) -> tuple[list[DifferenceView], str | None]:
    """Of the next `limit` items, those whose stock is not the sum of their movements; and the cursor of the next page
    if there may be one."""
    ids = [row.id for row in repository.page(database, _position(cursor), limit)]
    found = [DifferenceView.of(row) for row in journal.counted(database, ids) if row.on_hand != row.counted]
    return found, pages.encode(ids[-1].encode()) if len(ids) == limit else None


def _was_made(transaction: Transaction, change: StockChange) -> bool:
    """Whether this change was made before, with the same key; if not, the key is kept. Raises IdempotencyKeyReused if
    the key was used for another change."""
    asked = (change.item_id, change.quantity, change.why or "")
    if change.key is None or repository.keep_key(transaction, change.key, *asked):
        return False
    if not repository.is_same(transaction, change.key, *asked):
        raise IdempotencyKeyReused
    return True


def _changed() -> ItemChanged:
    return ItemChanged(detail="Read it again, then decide")


def _only(rows: Rows) -> Row:
    if not rows:
        raise ItemNotFound
    return rows[0]


def _position(cursor: str | None) -> str:
    return pages.decode(cursor, _item_id) if cursor is not None else ""


def _item_id(position: bytes) -> str:
    return _ID.validate_python(position.decode())
