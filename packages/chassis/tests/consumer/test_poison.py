"""Records that fail alone, or are not events, become dead letters, and the rest is applied."""

import gc
import json
import time
import weakref
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import pytest
from support.chassis import MemoryStream, eventually, running
from support.consuming import consumer, dead, event, items, see, send
from support.seen import seen

from oms_chassis.db import Database, Transaction
from oms_chassis.messaging import processing
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.messaging.faults import STREAK
from oms_chassis.messaging.relay import Relay
from oms_chassis.messaging.streams import BATCH, RECORD_LIMIT, Outgoing, Record
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event
from oms_contracts.topics import ITEM_UPDATED


@pytest.mark.parametrize("twisted", [{"id": "a\0"}, {"source": "/oms/test" * 10_000}])
def test_an_event_in_a_full_poll_whose_id_cannot_be_stored_becomes_a_dead_letter(
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


def test_one_bad_event_becomes_a_dead_letter_and_the_rest_is_applied(database: Database, metrics: Metrics) -> None:
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
def test_a_record_that_cannot_be_read_becomes_a_dead_letter(database: Database, metrics: Metrics, value: bytes) -> None:
    stream = MemoryStream()
    stream.send([Outgoing(ITEM_UPDATED.name, None, value)])
    send(stream, [event("a")])
    with running(consumer(database, stream, metrics)):
        eventually(lambda: stream.committed)
    assert seen(database) == {"a": 1}
    (letter,) = dead(database)
    assert (letter.key, bytes(letter.value)) == (None, value)


@pytest.mark.parametrize("value", [b"no event", event("poison").encode().encode()], ids=["unreadable", "refused"])
def test_a_record_that_became_a_dead_letter_does_not_stay_in_memory(
    database: Database, metrics: Metrics, value: bytes
) -> None:
    """Errors refer to frames, which refer to records: a cycle would keep megabytes until the garbage collector runs."""
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


def test_a_tombstone_of_a_compacted_topic_is_passed_over_and_is_not_a_dead_letter(
    database: Database, metrics: Metrics
) -> None:
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


def test_a_recreated_topic_has_dead_letters_at_the_offsets_of_the_old_one(database: Database, metrics: Metrics) -> None:
    for value in (b"no event", b"no event, either"):
        stream = MemoryStream()
        stream.send([Outgoing(ITEM_UPDATED.name, b"key", value)])
        consumer(database, stream, metrics).work(stream.poll(0))
    assert [record.value for record in dead(database)] == [b"no event", b"no event, either"]


def test_a_record_that_recovers_does_not_become_a_dead_letter(database: Database, metrics: Metrics) -> None:
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


def test_bad_records_among_good_ones_are_not_a_streak(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    for number in range(STREAK + 5):
        send(stream, [event("poison"), event(f"item-{number}")])
    consumer(database, stream, metrics).work(stream.poll(0))
    assert len(dead(database)) == STREAK + 5
    assert len(seen(database)) == STREAK + 5


def test_a_dead_letter_that_is_delivered_again_is_not_handled_again(database: Database, metrics: Metrics) -> None:
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
def test_no_legal_record_stops_the_ones_after_it(database: Database, metrics: Metrics, odd: Outgoing) -> None:
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


MANY = 10_000


def seconds(reader: Consumer, records: Sequence[Record]) -> float:
    began = time.monotonic()
    reader.work(records)
    return time.monotonic() - began


@pytest.mark.alone
@pytest.mark.timeout(300)
def test_ten_thousand_invalid_records_between_as_many_good_ones_are_passed_at_half_the_rate(
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
