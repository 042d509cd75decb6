"""What cancelled orders do to the stock, on a real database."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from support.chassis import deliver, pending_events
from support.stock import TRACE, cancelled, outcomes, paid, stock

from oms_chassis.db import Database
from oms_chassis.telemetry import tracing
from oms_contracts.topics import INVENTORY_RELEASED, ITEM_UPDATED
from oms_inventory.handlers import order_cancelled, payment_completed

Orders = dict[str, int]


def pay(database: Database, **orders: Orders) -> None:
    deliver(database, payment_completed, [paid(order_id, quantities) for order_id, quantities in orders.items()])


def cancel(database: Database, **orders: Orders) -> None:
    deliver(database, order_cancelled, [cancelled(order_id, quantities) for order_id, quantities in orders.items()])


def released(database: Database) -> list[tuple[str, dict[str, int]]]:
    """What was published to be released of each order, in order."""
    events = pending_events(database, INVENTORY_RELEASED)
    return [(event.subject, {one.item_id: one.quantity for one in event.data.released}) for event in events]


def total_released(database: Database) -> dict[str, int]:
    return {row.id: row.released for row in database.execute("SELECT id, released FROM item")}


def test_a_cancelled_order_gives_its_stock_back(database: Database, seed: Any) -> None:
    seed(kettle=5, cup=5)
    pay(database, o1={"kettle": 2, "cup": 5}, o2={"kettle": 1})
    cancel(database, o1={"kettle": 2, "cup": 5})
    assert stock(database) == {"kettle": (4, 3), "cup": (5, 5)}
    assert total_released(database) == {"kettle": 2, "cup": 5}
    assert released(database) == [("o1", {"cup": 5, "kettle": 2})]
    (event,) = pending_events(database, INVENTORY_RELEASED)
    assert tracing.trace_id(event.traceparent or "") == tracing.trace_id(TRACE)


def test_it_gives_it_back_once_however_often_it_is_cancelled(database: Database, seed: Any) -> None:
    seed(kettle=5)
    pay(database, o1={"kettle": 2})
    deliver(database, order_cancelled, [cancelled("o1", {"kettle": 2}), cancelled("o1", {"kettle": 2})])
    cancel(database, o1={"kettle": 2})
    assert stock(database) == {"kettle": (5, 2)}
    assert total_released(database) == {"kettle": 2}


def test_an_order_that_is_cancelled_before_its_payment_arrives_gets_nothing(database: Database, seed: Any) -> None:
    seed(kettle=5)
    cancel(database, o1={"kettle": 2})
    pay(database, o1={"kettle": 2}, o2={"kettle": 5})
    assert stock(database) == {"kettle": (0, 5)}
    assert outcomes(database) == [("o2", True)]
    assert released(database) == [("o1", {})]


def test_an_order_that_got_nothing_has_nothing_to_give_back(database: Database, seed: Any) -> None:
    seed(kettle=1)
    pay(database, o1={"kettle": 2})
    cancel(database, o1={"kettle": 2})
    assert stock(database) == {"kettle": (1, 0)}
    assert released(database) == [("o1", {})]


def test_an_item_that_is_back_is_published_as_available(database: Database, seed: Any) -> None:
    seed(kettle=2, cup=2)
    pay(database, o1={"kettle": 2, "cup": 1})
    cancel(database, o1={"kettle": 2, "cup": 1})
    news = [(event.subject, event.data.available) for event in pending_events(database, ITEM_UPDATED)]
    assert news == [("kettle", False), ("kettle", True)]


def test_the_stock_of_cancelled_orders_goes_to_others(database: Database, seed: Any) -> None:
    seed(kettle=1)
    for number in range(5):
        pay(database, **{f"o{number}": {"kettle": 1}})
        cancel(database, **{f"o{number}": {"kettle": 1}})
    pay(database, last={"kettle": 1})
    assert outcomes(database)[-1] == ("last", True)
    assert stock(database) == {"kettle": (0, 6)}


def test_payments_and_cancellations_at_once_neither_deadlock_nor_lose_a_piece(database: Database, seed: Any) -> None:
    items = [f"i{number}" for number in range(6)]
    seed(**dict.fromkeys(items, 60))
    orders = {f"o{number}": {items[number % 6]: 1, items[(number + 2) % 6]: 2} for number in range(80)}
    turns = [(pay, orders), (cancel, orders), (cancel, dict(reversed(orders.items()))), (pay, orders)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda turn: turn[0](database, **turn[1]), turns))
    assert {item: on_hand for item, (on_hand, _) in stock(database).items()} == dict.fromkeys(items, 60)
    assert not database.execute("SELECT 1 FROM reservation WHERE released <> quantity")


def test_the_table_refuses_to_release_more_than_was_reserved(database: Database, seed: Any) -> None:
    seed(kettle=5)
    pay(database, o1={"kettle": 2})
    with pytest.raises(IntegrityError, match="reservation_released"), database.transaction() as transaction:
        transaction.execute("UPDATE reservation SET released = 3")
