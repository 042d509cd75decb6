"""Faults that every event would meet pause the consumer instead of making dead letters."""

import threading
from typing import Any

import pytest
from support.chassis import MemoryStream, eventually, running
from support.consuming import consumer, dead, event, items, see, send, values
from support.seen import seen

from oms_chassis.db import Database, Transaction
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.messaging.faults import STREAK, SystemicFault
from oms_chassis.messaging.streams import Outgoing
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event
from oms_contracts.events import PaymentRefunded
from oms_contracts.topics import ITEM_UPDATED, PAYMENT_REFUNDED


@pytest.mark.parametrize(
    ("breaks", "repairs"),
    [
        ("ALTER TABLE seen RENAME COLUMN item TO thing", "ALTER TABLE seen RENAME COLUMN thing TO item"),
        ("ALTER TABLE seen RENAME TO gone", "ALTER TABLE gone RENAME TO seen"),
        ("ALTER TABLE inbox RENAME TO gone", "ALTER TABLE gone RENAME TO inbox"),
    ],
)
def test_a_schema_that_does_not_fit_pauses_the_consumer_and_makes_no_dead_letters(
    database: Database, metrics: Metrics, breaks: str, repairs: str
) -> None:
    stream = MemoryStream()
    database.execute(breaks)
    with running(consumer(database, stream, metrics)):
        send(stream, items(3))
        eventually(lambda: values(metrics, "oms_consumer_paused") == [1.0])
        assert stream.committed == {}
        assert dead(database) == []
        database.execute(repairs)
        eventually(lambda: stream.committed == {(ITEM_UPDATED.name, 0): 3})
        eventually(lambda: values(metrics, "oms_consumer_paused") == [0.0])
    assert seen(database) == {f"item-{number}": 1 for number in range(3)}
    assert dead(database) == []


def test_a_fault_of_one_topic_does_not_hold_up_others_and_real_poison_is_dead_lettered_meanwhile(
    database: Database, metrics: Metrics
) -> None:
    def refund(transaction: Transaction, events: list[Event[Any]]) -> None:
        transaction.execute_rows(
            "INSERT INTO refunds SELECT item FROM json_to_recordset(%(rows)s::json) AS r(item text)",
            [{"item": event.subject} for event in events],
        )

    def refunded(order: str) -> Outgoing:
        data = PaymentRefunded(order_id=order, refund_id="r", amount=1, currency="USD")
        return Outgoing(PAYMENT_REFUNDED.name, order.encode(), PAYMENT_REFUNDED.event(data, order).encode().encode())

    stream, both = MemoryStream(), [Subscription(ITEM_UPDATED, see), Subscription(PAYMENT_REFUNDED, refund)]
    stream.send([refunded("o1"), Outgoing(PAYMENT_REFUNDED.name, b"poison", b"{"), refunded("o2")])
    send(stream, [*items(3), event("poison"), event("last")])
    with running(Consumer("test", database, both, lambda: stream, metrics)):
        eventually(lambda: values(metrics, "oms_consumer_paused") == [1.0])
        eventually(lambda: stream.committed == {(ITEM_UPDATED.name, 0): 5})
        assert seen(database).keys() == {"item-0", "item-1", "item-2", "last"}
        database.execute("CREATE TABLE refunds (item text PRIMARY KEY)")
        eventually(lambda: stream.committed == {(ITEM_UPDATED.name, 0): 5, (PAYMENT_REFUNDED.name, 0): 3}, within=60)
    assert {row.item for row in database.execute("SELECT item FROM refunds")} == {"o1", "o2"}
    assert [bytes(letter.key) for letter in dead(database)] == [b"poison", b"poison"]


def test_while_dead_letters_cannot_be_written_their_records_are_kept(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    database.execute("ALTER TABLE outbox RENAME TO gone")
    send(stream, [event("poison"), event("a")])
    with running(consumer(database, stream, metrics)):
        eventually(lambda: values(metrics, "oms_consumer_paused") == [1.0])
        database.execute("ALTER TABLE gone RENAME TO outbox")
        eventually(lambda: stream.committed == {(ITEM_UPDATED.name, 0): 2})
    assert seen(database) == {"a": 1}
    assert len(dead(database)) == 1


def test_a_column_whose_type_changes_makes_no_dead_letters(database: Database, metrics: Metrics) -> None:
    """Statements that a connection has prepared no longer fit then."""

    def handle(transaction: Transaction, events: list[Event[Any]]) -> None:
        transaction.execute("SELECT * FROM seen")
        see(transaction, events)

    stream = MemoryStream()
    with running(consumer(database, stream, metrics, handle)):
        for number in range(10):
            send(stream, [event(f"item-{number}")])
            eventually(lambda: list(stream.committed.values()) == [len(stream.records[ITEM_UPDATED.name])])
        database.execute("ALTER TABLE seen ALTER COLUMN times TYPE bigint")
        send(stream, [event("item-10")])
        eventually(lambda: stream.committed == {(ITEM_UPDATED.name, 0): 11})
    assert len(seen(database)) == 11
    assert dead(database) == []


def test_more_records_in_a_row_than_can_be_bad_pause_the_consumer_and_make_no_dead_letters(
    database: Database, metrics: Metrics
) -> None:
    broken = threading.Event()
    broken.set()

    def handle(transaction: Transaction, events: list[Event[Any]]) -> None:
        if broken.is_set():
            raise KeyError("a bug")
        see(transaction, events)

    stream = MemoryStream()
    send(stream, items(STREAK + 10))
    with running(consumer(database, stream, metrics, handle)):
        eventually(lambda: values(metrics, "oms_consumer_paused") == [1.0])
        assert dead(database) == []
        broken.clear()
        eventually(lambda: stream.committed == {(ITEM_UPDATED.name, 0): STREAK + 10})
    assert len(seen(database)) == STREAK + 10
    assert dead(database) == []


def test_records_that_arrive_one_by_one_are_a_streak_as_well(database: Database, metrics: Metrics) -> None:
    def fail(_: Transaction, __: list[Event[Any]]) -> None:
        raise KeyError("a bug")

    stream = MemoryStream()
    reader = consumer(database, stream, metrics, fail)
    for one in items(STREAK):
        send(stream, [one])
        reader.work(stream.poll(0))
    send(stream, [event("one-more")])
    with pytest.raises(SystemicFault, match="KeyError"):
        reader.work(stream.poll(0))
    assert len(dead(database)) == STREAK
