"""Whatever happens in whatever order, the stock is what a plain ledger says, and readers know it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.chassis import deliver, pending_events
from support.stock import cancelled, differences, outcomes, paid, refund_requested, stock

from oms_chassis.db import Database
from oms_contracts.topics import ITEM_UPDATED
from oms_inventory import catalogue
from oms_inventory.catalogue import StockChange
from oms_inventory.conditions import Conditions
from oms_inventory.handlers import order_cancelled, payment_completed
from oms_inventory.problems import StockTooLow
from oms_inventory.returns import order_refund_requested
from oms_inventory.schemas import ItemBody

ITEMS = ("a", "b", "c")
items = st.sampled_from(ITEMS)
order_ids = st.integers(0, 8).map("o{}".format)  # few, so that some come again
batches = st.lists(st.tuples(order_ids, st.dictionaries(items, st.integers(1, 4), min_size=1)), min_size=1, max_size=6)
steps = st.one_of(
    st.tuples(st.just("pay"), batches),
    st.tuples(st.just("restock"), st.tuples(items, st.integers(1, 5), st.none() | st.sampled_from("kl"))),
    st.tuples(st.just("price"), st.tuples(items, st.integers(1, 3))),
    st.tuples(st.just("cancel"), st.lists(order_ids, min_size=1, max_size=3)),
    st.tuples(st.just("correct"), st.tuples(items, st.sampled_from([-3, -1, 2]))),
    st.tuples(st.just("come_back"), st.tuples(order_ids, st.sampled_from("xyz"), items, st.integers(1, 2))),
)


@dataclass
class Ledger:
    """What should be so, kept the plain way: one order after the other."""

    on_hand: dict[str, int]
    sold: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ITEMS, 0))
    price: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ITEMS, 100))
    answers: dict[str, bool] = field(default_factory=dict)
    held: dict[str, dict[str, int]] = field(default_factory=dict)  # by orders that were answered or are cancelled
    returned: set[tuple[str, str]] = field(default_factory=set)
    keys: dict[str, tuple[str, int]] = field(default_factory=dict)

    def pay(self, order_id: str, quantities: dict[str, int]) -> None:
        if order_id in self.held:
            return
        self.answers[order_id] = all(self.on_hand[item] >= n for item, n in quantities.items())
        self.held[order_id] = dict(quantities) if self.answers[order_id] else {}
        for item, n in self.held[order_id].items():
            self.on_hand[item] -= n
            self.sold[item] += n

    def cancel(self, order_id: str) -> None:
        for item, n in self.held.get(order_id, {}).items():
            self.on_hand[item] += n
        self.held[order_id] = {}

    def come_back(self, order_id: str, item: str, quantity: int) -> bool:
        has_so_much = self.held.get(order_id, {}).get(item, 0) >= quantity
        if has_so_much:
            self.on_hand[item] += quantity
            self.held[order_id][item] -= quantity
        return has_so_much


class Both:
    """Does a step to the service and to the ledger."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self.database, self.ledger = database, ledger

    def pay(self, batch: list[tuple[str, dict[str, int]]]) -> None:
        deliver(self.database, payment_completed, [paid(order_id, quantities) for order_id, quantities in batch])
        for order_id, quantities in batch:
            self.ledger.pay(order_id, quantities)

    def restock(self, request: tuple[str, int, str | None]) -> None:
        item, quantity, key = request
        if key is not None and self.ledger.keys.setdefault(key, (item, quantity)) != (item, quantity):
            return  # refused; test_restocking.py has this
        is_again = key is not None and bool(self.database.execute("SELECT 1 FROM restock WHERE key = %(key)s", key=key))
        catalogue.restock(self.database, StockChange(item, quantity, key=key))
        if not is_again:
            self.ledger.on_hand[item] += quantity

    def cancel(self, orders: list[str]) -> None:
        deliver(self.database, order_cancelled, [cancelled(order_id, {"a": 1}) for order_id in orders])
        for order_id in orders:
            self.ledger.cancel(order_id)

    def correct(self, request: tuple[str, int]) -> None:
        item, quantity = request
        if self.ledger.on_hand[item] + quantity < 0:
            with pytest.raises(StockTooLow):
                catalogue.correct(self.database, StockChange(item, quantity, "ann", "counted"))
            return
        catalogue.correct(self.database, StockChange(item, quantity, "ann", "counted"))
        self.ledger.on_hand[item] += quantity

    def come_back(self, request: tuple[str, str, str, int]) -> None:
        order_id, refund_id, item, quantity = request
        event = refund_requested(order_id, refund_id, {item: quantity})
        if (refund_id, item) in self.ledger.returned:
            deliver(self.database, order_refund_requested, [event])  # once, whatever it is of
        elif self.ledger.come_back(order_id, item, quantity):
            self.ledger.returned.add((refund_id, item))
            deliver(self.database, order_refund_requested, [event, event])
        else:
            with pytest.raises(LookupError):
                deliver(self.database, order_refund_requested, [event])

    def price(self, request: tuple[str, int]) -> None:
        item, price = request
        catalogue.put(self.database, item, ItemBody(name=f"The {item}", unitPrice=price), Conditions(), "USD")
        self.ledger.price[item] = price


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(initial=st.tuples(*[st.integers(0, 6)] * 3), history=st.lists(steps, max_size=8))
def test_after_any_history_the_stock_is_what_a_plain_ledger_says(
    database: Database, seed: Callable[..., None], initial: tuple[int, ...], history: list[tuple[str, Any]]
) -> None:
    seed(**dict(zip(ITEMS, initial, strict=True)))
    both = Both(database, Ledger(dict(zip(ITEMS, initial, strict=True))))
    for name, argument in history:
        getattr(both, name)(argument)
    ledger = both.ledger
    assert stock(database) == {item: (ledger.on_hand[item], ledger.sold[item]) for item in ITEMS}
    assert outcomes(database) == list(ledger.answers.items())
    rows = database.execute("SELECT order_id, item_id, quantity - released AS n FROM reservation")
    held = {(order, item): n for order, items in ledger.held.items() for item, n in items.items() if n}
    assert {(row.order_id, row.item_id): row.n for row in rows if row.n} == held
    assert differences(database) == []
    _readers_know(database, ledger, dict(zip(ITEMS, initial, strict=True)))


def _readers_know(database: Database, ledger: Ledger, initial: dict[str, int]) -> None:
    known = {item: (100, n > 0, 1) for item, n in initial.items()}
    for event in pending_events(database, ITEM_UPDATED):
        data = event.data
        assert data.version == known[data.item_id][2] + 1, "a version was published twice, or never"
        known[data.item_id] = (data.unit_price, data.available, data.version)
    for item in ITEMS:
        assert known[item][:2] == (ledger.price[item], ledger.on_hand[item] > 0)
