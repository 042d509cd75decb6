"""The consumer, on a broker in memory; test_kafka.py shows that the real one behaves alike."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from support.chassis import MemoryStream, eventually

from oms_chassis.db import Database, Transaction
from oms_chassis.messaging import consumer as module
from oms_chassis.messaging import processing, turn
from oms_chassis.messaging.consumer import Consumer, Subscription
from oms_chassis.messaging.faults import STREAK, SystemicFault
from oms_chassis.messaging.relay import Relay
from oms_chassis.messaging.streams import RECORD_LIMIT, Outgoing, Record
from oms_chassis.telemetry.metrics import Metrics
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
    return {row.item: row.times for row in database.execute("SELECT item, times FROM seen")}


def dead(database: Database) -> list[Any]:
    return list(database.execute("SELECT topic, key, value, headers FROM outbox ORDER BY id"))


def test_every_event_is_processed_once_and_then_its_offset_is_committed(database: Database, metrics: Metrics) -> None:
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


def values(metrics: Metrics, *names: str) -> list[float | None]:
    return [metrics.registry.get_sample_value(name) for name in names]


def test_a_broker_that_falls_silent_is_said_once_and_its_lag_is_unknown(
    database: Database, metrics: Metrics, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECONNECT", (0.01,))
    stream, began = MemoryStream(), time.time()
    send(stream, [event("a")])

    def lag() -> float | None:
        return metrics.registry.get_sample_value("oms_consumer_lag", {"topic": ITEM_UPDATED.name, "partition": "0"})

    with running(consumer(database, stream, metrics)):
        eventually(lambda: values(metrics, "oms_consumer_running") == [1.0] and lag() is not None)
        stream.silent_for = module.SILENT + 1
        eventually(lambda: stream.is_closed)
        stream.is_closed = False
        eventually(lambda: stream.is_closed)  # it connects again and again
        assert values(metrics, "oms_consumer_running") == [0.0]
        assert lag() is None
        (last,) = values(metrics, "oms_consumer_last_poll_timestamp_seconds")
        assert last is not None
        assert began - 1 <= last <= time.time()
        stream.silent_for = 0.0
        eventually(lambda: values(metrics, "oms_consumer_running") == [1.0])
    assert capsys.readouterr().out.count("consumer_without_broker") == 1


def test_the_last_poll_is_the_last_one_that_a_broker_answered(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    stream.silent_for = 10.0
    with running(consumer(database, stream, metrics)):
        eventually(
            lambda: 9 < time.time() - (values(metrics, "oms_consumer_last_poll_timestamp_seconds")[0] or 0.0) < 15
        )


# What is everybody's fault and not the record's


def items(count: int) -> list[Event[Any]]:
    return [event(f"item-{number}") for number in range(count)]


@pytest.mark.parametrize(
    ("breaks", "repairs"),
    [
        ("ALTER TABLE seen RENAME COLUMN item TO thing", "ALTER TABLE seen RENAME COLUMN thing TO item"),
        ("ALTER TABLE seen RENAME TO gone", "ALTER TABLE gone RENAME TO seen"),
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


def test_records_that_come_one_by_one_are_a_streak_as_well(database: Database, metrics: Metrics) -> None:
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


def test_bad_records_among_good_ones_are_no_streak(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    for number in range(STREAK + 5):
        send(stream, [event("poison"), event(f"item-{number}")])
    consumer(database, stream, metrics).work(stream.poll(0))
    assert len(dead(database)) == STREAK + 5
    assert len(seen(database)) == STREAK + 5


def test_what_was_buried_costs_no_call_when_it_comes_again(database: Database, metrics: Metrics) -> None:
    calls: list[int] = []

    def fail(_: Transaction, events: list[Event[Any]]) -> None:
        calls.append(len(events))
        raise LookupError

    stream = MemoryStream()
    send(stream, items(5))
    records = stream.poll(0)
    consumer(database, stream, metrics, fail).work(records)
    assert calls
    calls.clear()
    consumer(database, stream, metrics, fail).work(records)
    assert calls == []
    assert len(dead(database)) == 5


def test_a_turn_that_takes_too_long_is_ended_and_what_is_finished_is_committed(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "TURN", 0.5)
    monkeypatch.setattr(processing, "RETRIES", (0.1,))
    stream = MemoryStream()
    for number in range(STREAK):
        send(stream, [event("poison"), event(f"item-{number}")])
    commits: list[int] = []
    monkeypatch.setattr(stream, "commit", lambda offsets: commits.extend(offsets.values()))
    with running(consumer(database, stream, metrics)):
        eventually(lambda: commits and commits[-1] == 2 * STREAK, within=30)
    assert len(commits) > 1
    assert commits == sorted(commits)
    assert len(dead(database)) == STREAK
    assert seen(database) == {f"item-{number}": 1 for number in range(STREAK)}


def test_a_stop_does_not_wait_for_the_records_that_are_left(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processing, "RETRIES", (30.0,))
    stream, tried = MemoryStream(), threading.Event()

    def fail(_: Transaction, __: list[Event[Any]]) -> None:
        tried.set()
        raise LookupError

    send(stream, [event("a")])
    with running(consumer(database, stream, metrics, fail)):
        assert tried.wait(10)
    assert dead(database) == []
    assert stream.committed == {}


# Whatever a legal record holds


@pytest.mark.parametrize(
    "odd",
    [
        Outgoing(ITEM_UPDATED.name, None, None),
        Outgoing(ITEM_UPDATED.name, b"key", None),
        Outgoing(ITEM_UPDATED.name, b"key", b"value", [("name", None)]),
        Outgoing(ITEM_UPDATED.name, b"key", b"value", [("a\0b", b"\0")]),
        Outgoing(ITEM_UPDATED.name, b"\xff\0", b"\xff\0", [("", b"")]),
        Outgoing(ITEM_UPDATED.name, b"key", b"[" * 100_000),
        Outgoing(ITEM_UPDATED.name, b"key", b"x" * (RECORD_LIMIT + 3_000_000)),
        Outgoing(ITEM_UPDATED.name, b"x" * (RECORD_LIMIT + 1), None),
        Outgoing(ITEM_UPDATED.name, b"key", b"x", [("name", b"x" * (RECORD_LIMIT + 1))]),
        Outgoing(ITEM_UPDATED.name, b"key", event("item-1").encode().replace("item-1", "a\\u0000b").encode()),
    ],
)
def test_no_legal_record_stops_the_ones_behind_it(database: Database, metrics: Metrics, odd: Outgoing) -> None:
    stream = MemoryStream()
    stream.records[ITEM_UPDATED.name] = [Record(odd.topic, 0, 0, odd.key, odd.value, odd.headers)]
    send(stream, [event("a")])
    with running(consumer(database, stream, metrics)):
        eventually(lambda: stream.committed == {(ITEM_UPDATED.name, 0): 2})
    assert seen(database) == {"a": 1}
    relay = Relay(database, stream, metrics)
    with database.autocommit() as connection:
        assert relay.send_batch(connection) == 1
    (sent,) = stream.records["test.deadletter"]
    assert sent.headers
    assert database.execute("SELECT 1 FROM outbox_quarantine") == []


def test_outcomes_are_counted_from_the_start(database: Database, metrics: Metrics) -> None:
    consumer(database, MemoryStream(), metrics)
    labels = {"topic": ITEM_UPDATED.name}
    assert metrics.registry.get_sample_value("oms_dead_letters_total", labels) == 0.0
    for outcome in ("applied", "duplicate", "dead"):
        found = metrics.registry.get_sample_value("oms_consumer_events_total", {**labels, "outcome": outcome})
        assert found == 0.0


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
