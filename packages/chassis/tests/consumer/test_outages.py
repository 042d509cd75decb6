"""Outages of the database and the broker."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from support.chassis import MemoryStream, eventually, running
from support.consuming import consumer, event, see, send, values
from support.seen import seen

from oms_chassis.db import Database, Transaction
from oms_chassis.messaging import consumer as module
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event
from oms_contracts.topics import ITEM_UPDATED


def test_while_the_database_is_unavailable_nothing_is_committed_and_nothing_is_lost(
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


def test_an_unavailable_broker_is_tried_again(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    send(stream, [event("a")])
    stream.failures = 2
    with running(consumer(database, stream, metrics)):
        eventually(lambda: stream.committed)
    assert seen(database) == {"a": 1}


def test_a_broker_that_falls_silent_is_logged_once_and_the_lag_is_unknown(
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
