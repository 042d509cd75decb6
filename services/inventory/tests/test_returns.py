"""What comes back of confirmed orders, on a real database: it is in the stock once, and the books add up."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from support.chassis import deliver, pending_events
from support.stock import cancelled, differences, paid, refund_requested, stock

from oms_chassis.db import Database
from oms_contracts.envelope import Event
from oms_contracts.topics import ITEM_UPDATED
from oms_inventory.handlers import order_cancelled, payment_completed
from oms_inventory.repository import journal
from oms_inventory.returns import order_refund_requested

Orders = dict[str, int]


def pay(database: Database, **orders: Orders) -> None:
    deliver(database, payment_completed, [paid(order_id, quantities) for order_id, quantities in orders.items()])


def ask(database: Database, *events: Event[Any]) -> None:
    deliver(database, order_refund_requested, list(events))


def books(database: Database, item: str) -> list[tuple[str, int, str | None]]:
    """What came and went of an item otherwise than by being sold, by the reason."""
    found = [row for row in journal.movements(database, item, 100) if row.kind not in {"initial", "reserved"}]
    return sorted((row.kind, row.quantity, row.why) for row in found)


def test_what_came_back_is_in_the_stock_and_the_journal_names_its_refund(database: Database, seed: Any) -> None:
    seed(kettle=5, cup=5)
    pay(database, o1={"kettle": 2, "cup": 5})
    ask(database, refund_requested("o1", "r1", {"kettle": 1}), refund_requested("o1", "r2", {"kettle": 1, "cup": 2}))
    assert stock(database) == {"kettle": (5, 2), "cup": (2, 5)}
    assert books(database, "kettle") == [("returned", 1, "refund r1"), ("returned", 1, "refund r2")]
    assert books(database, "cup") == [("returned", 2, "refund r2")]
    assert differences(database) == []


def test_a_refund_without_a_return_leaves_the_stock_alone(database: Database, seed: Any) -> None:
    seed(kettle=5)
    pay(database, o1={"kettle": 2})
    ask(database, refund_requested("o1", "r1", {"kettle": 1}, restock=False), refund_requested("o1", "r2", {}))
    assert stock(database) == {"kettle": (3, 2)}


def test_it_is_put_back_once_however_often_it_is_asked_for(database: Database, seed: Any) -> None:
    seed(kettle=5)
    pay(database, o1={"kettle": 2})
    ask(database, refund_requested("o1", "r1", {"kettle": 1}), refund_requested("o1", "r1", {"kettle": 1}))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: ask(database, refund_requested("o1", "r1", {"kettle": 1})), range(4)))
    assert stock(database) == {"kettle": (4, 2)}
    assert books(database, "kettle") == [("returned", 1, "refund r1")]


def test_an_item_that_was_sold_out_is_there_again_for_others(database: Database, seed: Any) -> None:
    seed(kettle=2)
    pay(database, o1={"kettle": 2})
    ask(database, refund_requested("o1", "r1", {"kettle": 1}))
    assert [event.data.available for event in pending_events(database, ITEM_UPDATED)] == [False, True]


@pytest.mark.parametrize("quantities", [{"kettle": 3}, {"cup": 1}])
def test_more_than_an_order_holds_is_not_put_back(database: Database, seed: Any, quantities: Orders) -> None:
    seed(kettle=5, cup=5)
    pay(database, o1={"kettle": 2})
    with pytest.raises(LookupError):
        ask(database, refund_requested("o1", "r1", quantities))
    assert stock(database) == {"kettle": (3, 2), "cup": (5, 0)}


def test_an_order_that_is_cancelled_all_the_same_gives_back_the_rest(database: Database, seed: Any) -> None:
    """As by the release before, which knows of no refunds, while both run."""
    seed(kettle=9)
    orders = [f"o{number}" for number in range(4)]
    pay(database, **{order: {"kettle": 2} for order in orders})

    def return_one(order: str) -> None:
        with suppress(LookupError):  # the cancellation came first
            ask(database, refund_requested(order, f"r-{order}", {"kettle": 1}))

    with ThreadPoolExecutor(8) as pool:
        returned = [pool.submit(return_one, order) for order in orders]
        for order in orders:
            pool.submit(deliver, database, order_cancelled, [cancelled(order, {"kettle": 2})]).result()
        for one in returned:
            one.result()
    assert stock(database) == {"kettle": (9, 8)}
    assert differences(database) == []
