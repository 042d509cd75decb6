"""The consumer, on a broker in memory; test_kafka.py shows that the real one behaves alike."""

import gc
import json
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from support.chassis import MemoryStream, eventually
from support.statements import statements

from oms_chassis.db import Database, Transaction
from oms_chassis.messaging import consumer as module
from oms_chassis.messaging import faults, inbox, processing, progress, reading, turn
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.messaging.faults import STREAK, SystemicFault
from oms_chassis.messaging.relay import Relay
from oms_chassis.messaging.streams import BATCH, RECORD_LIMIT, Damage, Outgoing, Record
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.sessions import Limits
from oms_chassis.telemetry import tracing
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event
from oms_contracts.events import ItemUpdated, PaymentRefunded
from oms_contracts.topics import ITEM_UPDATED, PAYMENT_REFUNDED, Topic

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
    monkeypatch.setattr(progress, "LOOK", 0.0)


def seen(database: Database) -> dict[str, int]:
    return {row.item: row.times for row in database.execute("SELECT item, times FROM seen")}


def dead(database: Database) -> list[Any]:
    return list(database.execute("SELECT topic, key, value, headers FROM outbox ORDER BY id"))


def outcomes(metrics: Metrics) -> dict[str, float]:
    samples = [one for family in metrics.registry.collect() for one in family.samples]
    counted = [one for one in samples if one.name == "oms_consumer_events_total" and one.value]
    return {one.labels["outcome"]: one.value for one in counted}


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


def test_of_a_full_poll_what_was_processed_before_costs_one_statement(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group that was set back reads what it has read, and has new events wait for as long as that takes."""
    monkeypatch.setattr(reading, "BATCH", 4)
    stream = MemoryStream()
    send(stream, [event("a"), event("poison")])
    stream.send([Outgoing(ITEM_UPDATED.name, None, b"no event"), Outgoing(ITEM_UPDATED.name, b"gone", None)])
    worker, records = consumer(database, stream, metrics), stream.poll(0)
    worker.work(records)
    with statements(database) as counted:
        worker.work(records)
    assert len(counted) == 1
    assert seen(database) == {"a": 1}
    assert len(dead(database)) == 2
    assert outcomes(metrics) == {"applied": 1, "dead": 2, "duplicate": 3, "tombstone": 2}


def test_of_a_small_poll_what_was_processed_before_is_known_by_the_statement_that_notes_what_is_new(
    database: Database, metrics: Metrics
) -> None:
    stream = MemoryStream()
    send(stream, [event("a"), event("poison")])
    worker, records = consumer(database, stream, metrics), stream.poll(0)
    worker.work(records)
    with statements(database) as counted:
        worker.work(records)
    (asked,) = counted
    assert "INSERT INTO inbox" in asked.sql
    assert seen(database) == {"a": 1}
    assert outcomes(metrics) == {"applied": 1, "dead": 1, "duplicate": 2}


def test_each_record_of_a_small_poll_is_counted_however_often_it_comes(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    stream.send([Outgoing(ITEM_UPDATED.name, b"key", b"no event")])
    send(stream, [event("a"), event("poison")])
    worker, records = consumer(database, stream, metrics), stream.poll(0)
    worker.work(records)
    worker.work(records)
    assert outcomes(metrics) == {"applied": 1, "dead": 2, "duplicate": 3}


@pytest.mark.parametrize("twisted", [{"id": "a\0"}, {"source": "/oms/test" * 10_000}])
def test_of_a_full_poll_an_event_that_no_database_can_name_is_a_dead_letter(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch, twisted: dict[str, str]
) -> None:
    monkeypatch.setattr(processing, "BATCH", 2)
    stream = MemoryStream()
    send(stream, [event("a"), event("b").model_copy(update=twisted)])
    worker, records = consumer(database, stream, metrics), stream.poll(0)
    worker.work(records)
    worker.work(records)
    assert seen(database) == {"a": 1}
    assert len(dead(database)) == 1


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


@pytest.mark.parametrize("value", [b"no event", event("poison").encode().encode()], ids=["unreadable", "refused"])
def test_a_record_that_is_a_dead_letter_is_held_by_nothing(database: Database, metrics: Metrics, value: bytes) -> None:
    """Errors refer to frames, and these to the records that they were about: a cycle would hold megabytes until the
    garbage collector comes."""
    one = consumer(database, MemoryStream(), metrics)
    record = Record(ITEM_UPDATED.name, 0, 0, b"poison", value)
    held = weakref.ref(record)
    gc.disable()
    try:
        one.work([record])
        del record
        assert held() is None
    finally:
        gc.enable()
    assert len(dead(database)) == 1


def test_a_tombstone_of_a_compacted_topic_is_passed_and_is_no_dead_letter(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    stream.send([Outgoing(ITEM_UPDATED.name, b"gone", None)])
    send(stream, [event("a")])
    with running(consumer(database, stream, metrics)):
        eventually(lambda: stream.committed == {(ITEM_UPDATED.name, 0): 2})
    assert seen(database) == {"a": 1}
    assert dead(database) == []
    labels = {"topic": ITEM_UPDATED.name, "outcome": "tombstone"}
    assert metrics.registry.get_sample_value("oms_consumer_events_total", labels) == 1


def test_a_dead_letter_that_is_delivered_again_is_buried_once(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    send(stream, [event("poison")])
    worker = consumer(database, stream, metrics)
    records = stream.poll(0)
    worker.work(records)
    worker.work(records)
    assert len(dead(database)) == 1


def test_a_topic_that_was_made_again_has_dead_letters_at_the_places_of_the_old_one(
    database: Database, metrics: Metrics
) -> None:
    for value in (b"no event", b"no event, either"):
        stream = MemoryStream()
        stream.send([Outgoing(ITEM_UPDATED.name, b"key", value)])
        consumer(database, stream, metrics).work(stream.poll(0))
    assert [record.value for record in dead(database)] == [b"no event", b"no event, either"]


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
    database: Database, metrics: Metrics, logged: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECONNECT", (0.01,))
    stream, began = MemoryStream(), time.time()
    send(stream, [event("a")])

    def lag() -> float | None:
        return metrics.registry.get_sample_value("oms_consumer_lag", {"topic": ITEM_UPDATED.name, "partition": "0"})

    with running(consumer(database, stream, metrics)):
        eventually(lambda: values(metrics, "oms_consumer_running") == [1.0] and lag() is not None)
        stream.silent_for = module.SILENT + 1
        eventually(lambda: values(metrics, "oms_consumer_running") == [0.0] and lag() is None)
        assert not stream.is_closed  # it stays the member that it is
        stream.silent_for = module.LOST + 1
        eventually(lambda: stream.is_closed)
        stream.is_closed = False
        eventually(lambda: stream.is_closed)  # it connects again and again
        assert values(metrics, "oms_consumer_running") == [0.0]
        assert lag() is None
        (last,) = values(metrics, "oms_consumer_last_poll_timestamp_seconds")
        assert last is not None
        assert began - 1 <= last + module.LOST + 1 <= time.time()
        stream.silent_for = 0.0
        eventually(lambda: values(metrics, "oms_consumer_running") == [1.0])
    assert sum("consumer_without_broker" in line for line in logged()) == 1


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


def test_a_fault_of_one_topic_holds_no_other_topic_and_real_poison_is_set_aside_meanwhile(
    database: Database, metrics: Metrics
) -> None:
    def refund(transaction: Transaction, events: list[Event[Any]]) -> None:
        transaction.run_rows(
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


def test_while_letters_cannot_be_written_their_records_are_kept(database: Database, metrics: Metrics) -> None:
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
    """What a connection has prepared no longer fits then."""

    def handle(transaction: Transaction, events: list[Event[Any]]) -> None:
        transaction.run("SELECT * FROM seen")
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
    monkeypatch.setattr(faults, "PATIENT", STREAK)
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
        Outgoing(ITEM_UPDATED.name, b"key", b"value", [("name", None)]),
        Outgoing(ITEM_UPDATED.name, b"key", b"value", [("a\0b", b"\0")]),
        Outgoing(ITEM_UPDATED.name, b"\xff\0", b"\xff\0", [("", b"")]),
        Outgoing(ITEM_UPDATED.name, b"key", b"[" * 100_000),
        Outgoing(ITEM_UPDATED.name, b"key", b"x" * (RECORD_LIMIT + 3_000_000)),
        Outgoing(ITEM_UPDATED.name, b"x" * (RECORD_LIMIT + 1), b"value"),
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


def test_two_publishers_may_give_the_same_id(database: Database, metrics: Metrics) -> None:
    stream, refunds = MemoryStream(), []
    refund = PaymentRefunded(order_id="o", refund_id="r", amount=1, currency="USD")
    send(stream, [event("a", id="1"), event("a", id="1")])
    other = PAYMENT_REFUNDED.event(refund, "o", id="1")
    stream.send([Outgoing(PAYMENT_REFUNDED.name, b"o", other.encode().encode())])
    both = [Subscription(ITEM_UPDATED, see), Subscription(PAYMENT_REFUNDED, lambda _, events: refunds.extend(events))]
    Consumer("test", database, both, lambda: stream, metrics).work(stream.poll(0))
    assert seen(database) == {"a": 1}
    assert [one.source for one in refunds] == ["/oms/payment"]
    assert dead(database) == []


def test_an_event_of_another_topic_or_publisher_is_a_dead_letter(database: Database, metrics: Metrics) -> None:
    stream, right = MemoryStream(), event("a")
    wrong = [
        right.model_copy(update={"type": "itemRemovedEvent"}),
        right.model_copy(update={"source": "/oms/order"}),
        right.model_copy(update={"subject": "b"}),
    ]
    send(stream, [*wrong, right])
    consumer(database, stream, metrics).work(stream.poll(0))
    assert seen(database) == {"a": 1}
    assert [json.loads(bytes(letter.value)) for letter in dead(database)] == [json.loads(one.encode()) for one in wrong]


def test_log_lines_of_a_batch_are_in_the_trace_of_their_event(
    database: Database, metrics: Metrics, logged: Callable[[], list[str]]
) -> None:
    stream, traces = MemoryStream(), [tracing.start() for _ in range(3)]
    send(stream, [event("a", traceparent=traces[0]), event("poison", traceparent=traces[1])])
    send(stream, [event("poison", traceparent=traces[2])])
    consumer(database, stream, metrics).work(stream.poll(0))
    lines = [line for line in logged() if "dead_letter" in line]
    assert [tracing.trace_id(trace) in line for trace, line in zip(traces[1:], lines, strict=True)] == [True, True]


def test_a_batch_of_many_events_is_in_none_of_their_traces(database: Database, metrics: Metrics) -> None:
    stream, mine, seen_in = MemoryStream(), [tracing.start() for _ in range(3)], []

    def handle(_: Transaction, __: list[Event[Any]]) -> None:
        seen_in.append(tracing.trace_id(tracing.current() or ""))

    reader = consumer(database, stream, metrics, handle)
    send(stream, [event("a", traceparent=mine[0]), event("b", traceparent=mine[1])])
    reader.work(stream.poll(0))
    send(stream, [event("c", traceparent=mine[2])])
    reader.work(stream.poll(0))
    batch, single = seen_in
    assert batch not in map(tracing.trace_id, mine)
    assert single == tracing.trace_id(mine[2])


# What the database refuses to carry out


@pytest.fixture
def strict(database: Database) -> Iterator[Database]:
    """The database, with little time for a statement."""
    strict = Database(database._url, 4, Limits(statement=1.0))
    yield strict
    strict.dispose()


TOO_MUCH = {
    "more time than statements have": "SELECT pg_sleep(30)",
    "more memory than there is": "SELECT repeat('x', 1000000000) || repeat('x', 1000000000)",
    "a row of an index": "INSERT INTO inbox SELECT string_agg(md5(n::text), '') FROM generate_series(1, 999) AS n",
    "a number": "SELECT 9223372036854775807 + 1",
    "a character that no text has": "SELECT chr(0)",
    "a failure within": "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'XX000'; END $$",
    "a page that cannot be read": "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'XX001'; END $$",
    "a sector that cannot be read": "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '58030'; END $$",
}


@pytest.mark.parametrize("sql", TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_the_database_cannot_carry_out_is_a_dead_letter_and_what_is_around_it_is_applied(
    strict: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    monkeypatch.setattr(faults, "STRAIN_SECONDS", 0.0)
    monkeypatch.setattr(turn, "TURN", 3.0)

    def handle(transaction: Transaction, events: list[Event[Any]]) -> None:
        if any(event.subject == "too-much" for event in events):
            transaction.run(sql)
        see(transaction, events)

    stream = MemoryStream()
    send(stream, [*items(20), event("too-much"), event("item-20")])
    with running(consumer(strict, stream, metrics, handle)):
        eventually(lambda: stream.committed == {(ITEM_UPDATED.name, 0): 22}, within=120)
    assert seen(strict) == {f"item-{number}": 1 for number in range(21)}
    assert [bytes(letter.key) for letter in dead(strict)] == [b"too-much"]


@pytest.mark.parametrize("bad", [2, 4])
def test_of_several_such_records_each_becomes_a_dead_letter(
    strict: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch, bad: int
) -> None:
    monkeypatch.setattr(faults, "STRAIN_SECONDS", 0.0)

    def handle(transaction: Transaction, events: list[Event[Any]]) -> None:
        if any(event.subject.startswith("too-much") for event in events):
            transaction.run("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '57014'; END $$")
        see(transaction, events)

    stream = MemoryStream()
    send(stream, [event("a"), *(event(f"too-much-{number}") for number in range(bad)), event("b")])
    with running(consumer(strict, stream, metrics, handle)):
        eventually(lambda: stream.committed == {(ITEM_UPDATED.name, 0): bad + 2}, within=60)
    assert seen(strict) == {"a": 1, "b": 1}
    assert len(dead(strict)) == bad


def test_while_the_database_is_unwell_nothing_is_a_dead_letter(
    strict: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "STRAIN_SECONDS", 0.0)
    monkeypatch.setattr(inbox, "QUICK", 0.0)  # whatever is asked of it takes too long
    unwell, tries = threading.Event(), []
    unwell.set()

    def handle(transaction: Transaction, events: list[Event[Any]]) -> None:
        if unwell.is_set():
            tries.append(len(events))
            transaction.run("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '57014'; END $$")
        see(transaction, events)

    stream = MemoryStream()
    send(stream, items(3))
    with running(consumer(strict, stream, metrics, handle)):
        eventually(lambda: tries.count(1) > faults.STRAINS + 2)
        assert (stream.committed, dead(strict)) == ({}, [])
        unwell.clear()
        eventually(lambda: stream.committed == {(ITEM_UPDATED.name, 0): 3})
    assert seen(strict) == {f"item-{number}": 1 for number in range(3)}
    assert dead(strict) == []


def test_a_row_that_somebody_holds_keeps_its_own_event_waiting_and_no_other(
    database: Database, metrics: Metrics
) -> None:
    others = [f"item-{number}" for number in range(7)]
    database.execute("INSERT INTO seen (item) VALUES ('held')")
    hasty, stream = Database(database._url, 4, Limits(lock=0.2)), MemoryStream()
    send(stream, [event("item-0"), event("held"), *(event(one) for one in others[1:])])
    with running(consumer(hasty, stream, metrics)):
        with database.transaction() as transaction:
            transaction.run("SELECT 1 FROM seen WHERE item = 'held' FOR UPDATE")
            eventually(lambda: seen(hasty) == {**dict.fromkeys(others, 1), "held": 1})
            assert stream.committed in ({}, {(ITEM_UPDATED.name, 0): 1})
        eventually(lambda: stream.committed == {(ITEM_UPDATED.name, 0): 8})
    assert seen(hasty) == {**dict.fromkeys(others, 1), "held": 2}
    assert dead(hasty) == []
    hasty.dispose()


# Many of them


MANY = 10_000


def seconds(reader: Consumer, records: Sequence[Record]) -> float:
    began = time.monotonic()
    reader.work(records)
    return time.monotonic() - began


@pytest.mark.alone
@pytest.mark.timeout(300)
def test_ten_thousand_records_that_are_no_events_between_as_many_good_ones_are_passed_at_half_the_rate(
    database: Database, metrics: Metrics
) -> None:
    clean, mixed = MemoryStream(), MemoryStream()
    for number in range(MANY):
        mixed.send([Outgoing(ITEM_UPDATED.name, b"poison", b"\xff no event")])
        send(mixed, [event(f"item-{number}")])
        send(clean, [event(f"a-{number}"), event(f"b-{number}")])
    # An offset is that of one record: the clean ones are another partition's.
    usual = [replace(record, partition=1) for record in clean.records[ITEM_UPDATED.name]]
    odd = mixed.records[ITEM_UPDATED.name]
    reader = consumer(database, mixed, metrics)
    first, again = [], []
    # In turn, and each next to the usual of its turn, so that whatever else the machine does slows down all of them.
    for start in range(0, 2 * MANY, BATCH):
        usually = seconds(reader, usual[start : start + BATCH])
        first.append(seconds(reader, odd[start : start + BATCH]) / usually)
        again.append(seconds(reader, odd[start : start + BATCH]) / usually)
    assert len(seen(database)) == 3 * MANY
    assert database.execute("SELECT count(*) AS n FROM outbox")[0].n == MANY
    assert median(first) <= 2
    assert median(again) <= 1


def test_a_damaged_batch_is_said_once_and_measured_while_other_partitions_are_read(
    database: Database, metrics: Metrics, logged: Callable[[], list[str]]
) -> None:
    stream = MemoryStream()
    stream.damages = {(ITEM_UPDATED.name, 2): Damage(7, 9)}
    send(stream, [event("a")])
    with running(consumer(database, stream, metrics)):
        eventually(lambda: seen(database) == {"a": 1})
        eventually(lambda: values(metrics, "oms_consumer_damaged_partitions") == [1.0])
        stream.damages = {}
        eventually(lambda: values(metrics, "oms_consumer_damaged_partitions") == [0.0])
    (line,) = [json.loads(line) for line in logged() if "batch_damaged" in line]
    assert (line["topic"], line["partition"], line["offset"], line["beyond"]) == (ITEM_UPDATED.name, 2, 7, 9)


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


def test_a_consumer_has_kept_up_since_it_last_was_behind(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OBSERVE", 0.0)
    stream = MemoryStream()
    lags = {("t", 0): 0}
    monkeypatch.setattr(stream, "lag", lambda: lags)
    made = consumer(database, stream, metrics)
    assert made.kept_up() == 0.0
    with running(made):
        eventually(lambda: made.kept_up() > 0.2)
        lags["t", 0] = BATCH
        eventually(lambda: made.kept_up() < 0.1)
        assert made.kept_up() < 0.1
        lags["t", 0] = 0
        eventually(lambda: made.kept_up() > 0.2)
        database.execute("ALTER TABLE seen RENAME TO gone")
        send(stream, [event("a")])
        eventually(lambda: values(metrics, "oms_consumer_paused") == [1.0])
        paused = made.kept_up()
        database.execute("ALTER TABLE gone RENAME TO seen")
        eventually(lambda: seen(database) == {"a": 1})
        eventually(lambda: made.kept_up() > 0.2)
    assert paused < 1.0


def test_a_consumer_whose_broker_says_nothing_has_not_kept_up(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    made = consumer(database, stream, metrics)
    with running(made):
        eventually(lambda: made.kept_up() > 0.1)
        stream.failures = 10**6
        eventually(lambda: values(metrics, "oms_consumer_running") == [0.0])
        stream.failures = 0
        eventually(lambda: 0.0 < made.kept_up() < 1.0)
