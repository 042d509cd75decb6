"""The consumer, on a broker in memory; test_kafka.py shows that the real one behaves alike."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from oms_chassis import consumer as module
from oms_chassis import processing
from oms_chassis.consumer import Consumer, Subscription
from oms_chassis.db import Database, Transaction
from oms_chassis.metrics import Metrics
from oms_chassis.streams import Outgoing
from oms_chassis.testing import MemoryStream, eventually
from oms_contracts.envelope import Event
from oms_contracts.events import ItemUpdated
from oms_contracts.topics import ITEM_UPDATED, Topic

_SEE = """
INSERT INTO seen (item) SELECT item FROM json_to_recordset(%(rows)s::json) AS r(item text)
ON CONFLICT (item) DO UPDATE SET times = seen.times + 1
"""


def see(transaction: Transaction, events: list[Event[Any]]) -> None:
    if any(event.subject == "poison" for event in events):
        raise LookupError("poison")
    transaction.run_rows(_SEE, [{"item": event.subject} for event in events])


def event(item: str, topic: Topic = ITEM_UPDATED, **more: Any) -> Event[Any]:
    data = ItemUpdated(item_id=item, name="A thing", unit_price=100, currency="USD", available=True, version=1)
    return topic.event(data, item, **more)


def send(stream: MemoryStream, events: Sequence[Event[Any]]) -> None:
    stream.send([Outgoing(ITEM_UPDATED.name, one.subject.encode(), one.encode().encode()) for one in events])


def consumer(database: Database, stream: MemoryStream, metrics: Metrics, handle: Any = see) -> Consumer:
    return Consumer("test", database, [Subscription(ITEM_UPDATED, handle)], lambda: stream, metrics)


@contextmanager
def running(consumer: Consumer) -> Iterator[None]:
    thread = threading.Thread(target=consumer.run)
    thread.start()
    try:
        yield
    finally:
        consumer.stop()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processing, "RETRIES", (0.01, 0.01))


def seen(database: Database) -> dict[str, int]:
    return {row.item: row.times for row in database.read("SELECT item, times FROM seen")}


def dead(database: Database) -> list[Any]:
    return list(database.read("SELECT topic, key, value, headers FROM outbox ORDER BY id"))


def test_every_event_is_worked_off_once_and_then_its_offset_is_committed(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    send(stream, [event(f"item-{number}") for number in range(50)])
    with running(consumer(database, stream, metrics)):
        eventually(lambda: stream.committed == {(ITEM_UPDATED.name, 0): 50})
    assert seen(database) == {f"item-{number}": 1 for number in range(50)}
    assert stream.is_closed


def test_an_event_that_comes_again_changes_nothing(database: Database, metrics: Metrics) -> None:
    stream, twice = MemoryStream(), event("a")
    send(stream, [twice, twice, event("b")])
    with running(consumer(database, stream, metrics)):
        eventually(lambda: stream.committed)
        send(stream, [twice])
        eventually(lambda: stream.committed == {(ITEM_UPDATED.name, 0): 4})
    assert seen(database) == {"a": 1, "b": 1}


def test_one_bad_event_becomes_a_dead_letter_and_the_rest_goes_on(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    send(stream, [event("a"), event("b"), event("poison"), event("c")])
    with running(consumer(database, stream, metrics)):
        eventually(lambda: stream.committed)
    assert seen(database) == {"a": 1, "b": 1, "c": 1}
    (letter,) = dead(database)
    assert letter.topic == "test.deadletter"
    assert bytes(letter.key) == b"poison"
    names = [name for name, _ in letter.headers]
    assert names == ["oms-error", "oms-topic", "oms-partition", "oms-offset"]


@pytest.mark.parametrize("value", [b"{", b"", b'{"specversion": "1.0"}'])
def test_what_cannot_be_read_becomes_a_dead_letter(database: Database, metrics: Metrics, value: bytes) -> None:
    stream = MemoryStream()
    stream.send([Outgoing(ITEM_UPDATED.name, None, value)])
    send(stream, [event("a")])
    with running(consumer(database, stream, metrics)):
        eventually(lambda: stream.committed)
    assert seen(database) == {"a": 1}
    (letter,) = dead(database)
    assert (letter.key, bytes(letter.value)) == (None, value)


def test_a_dead_letter_that_is_delivered_again_is_buried_once(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    send(stream, [event("poison")])
    worker = consumer(database, stream, metrics)
    records = stream.poll(0)
    worker.work(records)
    worker.work(records)
    assert len(dead(database)) == 1


def test_a_record_that_recovers_is_no_dead_letter(database: Database, metrics: Metrics) -> None:
    failures = iter([LookupError(), LookupError()])

    def recovering(transaction: Transaction, events: list[Event[Any]]) -> None:
        for failure in failures:
            raise failure
        see(transaction, events)

    stream = MemoryStream()
    send(stream, [event("a")])
    with running(consumer(database, stream, metrics, recovering)):
        eventually(lambda: stream.committed)
    assert seen(database) == {"a": 1}
    assert dead(database) == []


def test_while_the_database_is_away_nothing_is_committed_and_nothing_is_lost(
    database: Database, metrics: Metrics
) -> None:
    away = threading.Event()
    away.set()
    refused = threading.Event()

    def handle(transaction: Transaction, events: list[Event[Any]]) -> None:
        if away.is_set():
            refused.set()
            raise OperationalError("SELECT 1", {}, Exception("away"))
        see(transaction, events)

    stream = MemoryStream()
    send(stream, [event("a"), event("b")])
    with running(consumer(database, stream, metrics, handle)):
        assert refused.wait(5)
        assert stream.committed == {}
        away.clear()
        eventually(lambda: stream.committed)
    assert seen(database) == {"a": 1, "b": 1}


def test_a_broker_that_is_away_is_tried_again(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    send(stream, [event("a")])
    stream.failures = 2
    with running(consumer(database, stream, metrics)):
        eventually(lambda: stream.committed)
    assert seen(database) == {"a": 1}


def test_the_lag_of_a_partition_that_moved_away_is_no_longer_reported(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OBSERVE", 0.0)
    stream = MemoryStream()
    lags = [{("there", 0): 7, ("moved", 1): 9}]
    monkeypatch.setattr(stream, "lag", lambda: lags[0])

    def reported() -> set[tuple[str, float]]:
        return {(s.labels["topic"], s.value) for s in next(iter(metrics.lag.collect())).samples}

    with running(consumer(database, stream, metrics)):
        eventually(lambda: reported() == {("there", 7.0), ("moved", 9.0)})
        lags[0] = {("there", 0): 3}
        eventually(lambda: reported() == {("there", 3.0)})


def test_outcomes_are_counted(database: Database, metrics: Metrics) -> None:
    stream, twice = MemoryStream(), event("a")
    send(stream, [twice, twice, event("poison")])
    with running(consumer(database, stream, metrics)):
        eventually(lambda: stream.committed)
    counted = {
        outcome: metrics.events.labels(ITEM_UPDATED.name, outcome)._value.get()
        for outcome in ("applied", "duplicate", "dead")
    }
    assert counted == {"applied": 1, "duplicate": 1, "dead": 1}
