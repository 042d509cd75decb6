"""What paid orders do to the stock, on a real database."""

from concurrent.futures import ThreadPoolExecutor
from random import sample
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from support.chassis import deliver, eventually, pending_events
from support.statements import statements
from support.stock import TRACE, outcomes, paid, stock

from oms_chassis.db import Database, Transaction
from oms_chassis.telemetry import tracing
from oms_contracts.events import InventoryRejected, InventoryUpdated, OrderEvent
from oms_contracts.parts import Shortage
from oms_contracts.topics import INVENTORY_REJECTED, INVENTORY_UPDATED, ITEM_UPDATED
from oms_inventory import catalogue
from oms_inventory import stock as stocks
from oms_inventory.catalogue import StockChange
from oms_inventory.handlers import payment_completed


def pay(database: Database, **orders: dict[str, int]) -> None:
    """One batch."""
    deliver(database, payment_completed, [paid(order_id, quantities) for order_id, quantities in orders.items()])


def kept(database: Database, table: str) -> list[tuple[Any, ...]]:
    columns = {"allocation": "order_id, is_allocated", "reservation": "order_id, item_id, quantity"}[table]
    return [tuple(row) for row in database.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2")]


def test_a_paid_order_gets_its_stock(database: Database, seed: Any) -> None:
    seed(kettle=5, cup=5)
    pay(database, o1={"kettle": 2, "cup": 5})
    assert stock(database) == {"kettle": (3, 2), "cup": (0, 5)}
    assert outcomes(database) == [("o1", True)]
    assert kept(database, "allocation") == [("o1", True)]
    assert kept(database, "reservation") == [("o1", "cup", 5), ("o1", "kettle", 2)]


def test_the_answer_says_all_that_its_readers_need_and_stays_in_the_trace(database: Database, seed: Any) -> None:
    seed(kettle=1)
    asked = [paid("o1", {"kettle": 1}), paid("o2", {"kettle": 1})]
    deliver(database, payment_completed, asked)
    answers = [*pending_events(database, INVENTORY_UPDATED), *pending_events(database, INVENTORY_REJECTED)]
    assert [type(answer.data) for answer in answers] == [InventoryUpdated, InventoryRejected]
    for question, answer in zip(asked, answers, strict=True):
        for name in OrderEvent.model_fields:
            assert getattr(answer.data, name) == getattr(question.data, name), name
        assert answer.subject == question.data.order_id
        assert tracing.trace_id(answer.traceparent or "") == tracing.trace_id(TRACE)


def test_an_order_that_lacks_one_item_gets_none(database: Database, seed: Any) -> None:
    seed(kettle=5, cup=1)
    pay(database, o1={"kettle": 2, "cup": 3})
    assert stock(database) == {"kettle": (5, 0), "cup": (1, 0)}
    (answer,) = pending_events(database)
    assert answer.data.shortages == [Shortage(item_id="cup", requested=3, available=1)]
    assert kept(database, "allocation") == [("o1", False)]
    assert kept(database, "reservation") == []


def test_an_item_that_nobody_knows_is_a_shortage(database: Database, seed: Any) -> None:
    seed(kettle=5)
    pay(database, o1={"kettle": 1, "unheard-of": 1}, o2={"kettle": 1})
    assert outcomes(database) == [("o1", False), ("o2", True)]
    (answer,) = pending_events(database, INVENTORY_REJECTED)
    assert answer.data.shortages == [Shortage(item_id="unheard-of", requested=1, available=0)]


def test_a_quantity_beyond_any_column_is_a_shortage(database: Database, seed: Any) -> None:
    seed(kettle=5)
    pay(database, o1={"kettle": 10**30}, o2={"kettle": 5})
    assert outcomes(database) == [("o1", False), ("o2", True)]


def test_the_last_piece_is_sold_once_and_to_the_first(database: Database, seed: Any) -> None:
    seed(kettle=1)
    pay(database, **{f"o{number}": {"kettle": 1} for number in range(10)})
    assert outcomes(database) == [(f"o{number}", number == 0) for number in range(10)]
    assert stock(database) == {"kettle": (0, 1)}


def test_another_event_about_an_order_that_has_its_stock_changes_nothing(database: Database, seed: Any) -> None:
    seed(kettle=5)
    deliver(database, payment_completed, [paid("o1", {"kettle": 1}), paid("o1", {"kettle": 1})])
    pay(database, o1={"kettle": 1})
    assert outcomes(database) == [("o1", True)]
    assert stock(database) == {"kettle": (4, 1)}


def test_an_order_that_was_rejected_stays_rejected_even_when_stock_has_come(database: Database, seed: Any) -> None:
    seed(kettle=0)
    pay(database, o1={"kettle": 1})
    catalogue.restock(database, StockChange("kettle", 5))
    pay(database, o1={"kettle": 1}, o2={"kettle": 1})
    assert outcomes(database) == [("o1", False), ("o2", True)]
    assert stock(database) == {"kettle": (4, 1)}


def test_readers_are_notified_of_an_item_when_it_sells_out_and_not_before(database: Database, seed: Any) -> None:
    seed(kettle=3, cup=3)
    pay(database, o1={"kettle": 2, "cup": 1})
    assert pending_events(database, ITEM_UPDATED) == []
    pay(database, o2={"kettle": 1, "cup": 1})
    (published,) = pending_events(database, ITEM_UPDATED)
    assert (published.subject, published.data.item_id, published.data.available, published.data.version) == (
        "kettle",
        "kettle",
        False,
        2,
    )


def test_a_batch_costs_as_many_statements_as_one_order(database: Database, seed: Any) -> None:
    seed(**{f"i{number}": 15 for number in range(50)})
    with statements(database) as alone:
        pay(database, first={"i1": 15}, refused={"i2": 16})
    with statements(database) as many:
        pay(database, **{f"o{number}": {f"i{number % 50}": 1, f"i{(number + 7) % 50}": 1} for number in range(500)})
    assert len(many) == len(alone)


def test_what_fails_leaves_nothing_behind(database: Database, seed: Any) -> None:
    seed(kettle=1)

    def fail_afterwards(*batch: Any) -> None:
        payment_completed(*batch)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        deliver(database, fail_afterwards, [paid("o1", {"kettle": 1})])
    assert (stock(database), pending_events(database), kept(database, "allocation")) == ({"kettle": (1, 0)}, [], [])
    pay(database, o1={"kettle": 1})
    assert outcomes(database) == [("o1", True)]


def test_replicas_that_work_at_once_neither_deadlock_nor_sell_anything_twice(database: Database, seed: Any) -> None:
    items = {f"i{number}": 40 for number in range(8)}
    seed(**items)
    batches = [
        [paid(f"o{batch}-{number}", dict.fromkeys(sample(sorted(items), 4), 1)) for number in range(20)]
        for batch in range(8)
    ]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda batch: deliver(database, payment_completed, batch), batches))
    answered = outcomes(database)
    assert len(answered) == len({order_id for order_id, _ in answered}) == 160
    assert sum(sold for _, sold in stock(database).values()) == 4 * sum(is_allocated for _, is_allocated in answered)
    assert all(on_hand + sold == 40 and on_hand >= 0 for on_hand, sold in stock(database).values())
    assert any(not is_allocated for _, is_allocated in answered), "there was no contention"


def test_an_order_that_reaches_several_replicas_at_once_is_answered_once(database: Database, seed: Any) -> None:
    seed(kettle=100)
    orders = [f"o{number}" for number in range(30)]
    beats = [orders, orders[::-1], orders, orders[::-1]]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda turn: pay(database, **{one: {"kettle": 1} for one in turn}), beats))
    assert sorted(outcomes(database)) == sorted((one, True) for one in orders)
    assert stock(database) == {"kettle": (70, 30)}


def is_waiting(database: Database) -> bool:
    """Whether a statement waits for a lock."""
    sql = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(database.execute(sql))


@pytest.mark.parametrize(("does_commit", "answers"), [(True, [("o1", True), ("o2", False)]), (False, [("o2", True)])])
def test_a_replica_waits_for_another_with_the_same_item_and_sees_what_it_left(
    database: Database, seed: Any, does_commit: bool, answers: list[tuple[str, bool]]
) -> None:
    seed(kettle=1)
    with ThreadPoolExecutor(1) as other, database.engine.connect() as connection:
        payment_completed(Transaction(connection), [paid("o1", {"kettle": 1})])
        waiting = other.submit(pay, database, o2={"kettle": 1})
        eventually(lambda: is_waiting(database))
        connection.commit() if does_commit else connection.rollback()
        waiting.result(10)
    assert outcomes(database) == answers
    assert stock(database) == {"kettle": (0, 1)}


@pytest.mark.parametrize("does_commit", [True, False])
def test_a_replica_waits_for_another_with_the_same_order_and_answers_only_if_that_one_failed(
    database: Database, seed: Any, does_commit: bool
) -> None:
    seed(kettle=5)
    with ThreadPoolExecutor(1) as other, database.engine.connect() as connection:
        payment_completed(Transaction(connection), [paid("o1", {"kettle": 2})])
        waiting = other.submit(pay, database, o1={"kettle": 2})
        eventually(lambda: is_waiting(database))
        connection.commit() if does_commit else connection.rollback()
        waiting.result(10)
    assert outcomes(database) == [("o1", True)]
    assert stock(database) == {"kettle": (3, 2)}


def test_stock_that_is_not_there_cannot_be_taken_by_mistake(database: Database, seed: Any) -> None:
    seed(kettle=1, cup=9)
    with pytest.raises(LookupError), database.transaction() as transaction:
        stocks.take(transaction, {"cup": 1, "kettle": 2})
    assert stock(database) == {"kettle": (1, 0), "cup": (9, 0)}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("on_hand = -1, sold = 2", "item_on_hand"),
        ("on_hand = on_hand - 1", "item_adds_up"),
        ("sold = sold + 1", "item_adds_up"),
        ("restocked = restocked + 1", "item_adds_up"),
        ("unit_price = 0", "item_unit_price"),
    ],
)
def test_the_table_refuses_stock_that_does_not_add_up(database: Database, seed: Any, change: str, rule: str) -> None:
    seed(kettle=1)
    with pytest.raises(IntegrityError, match=rule), database.transaction() as transaction:
        transaction.execute(f"UPDATE item SET {change}")
