"""A consumer's logs and metrics."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from support.chassis import MemoryStream, eventually, running
from support.consuming import consumer, event, send, values
from support.seen import seen

from oms_chassis.db import Database, Transaction
from oms_chassis.messaging import consumer as module
from oms_chassis.messaging.streams import BATCH, Damage
from oms_chassis.telemetry import tracing
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event
from oms_contracts.topics import ITEM_UPDATED


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


def test_a_damaged_batch_is_logged_once_and_measured_while_other_partitions_are_read(
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


def test_the_lag_of_a_reassigned_partition_is_no_longer_reported(
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


def test_a_consumer_whose_broker_is_silent_has_not_kept_up(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    made = consumer(database, stream, metrics)
    with running(made):
        eventually(lambda: made.kept_up() > 0.1)
        stream.failures = 10**6
        eventually(lambda: values(metrics, "oms_consumer_running") == [0.0])
        stream.failures = 0
        eventually(lambda: 0.0 < made.kept_up() < 1.0)
