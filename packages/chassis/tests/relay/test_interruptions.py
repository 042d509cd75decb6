"""Relays that are interrupted or delayed, and whether they still lead."""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs
from support.chassis import MemoryStream, eventually, running
from support.relaying import Broken, pending, put, quarantined, record, send_all, sent

from oms_chassis.db import Database
from oms_chassis.messaging import outbox
from oms_chassis.messaging import relay as relays
from oms_chassis.messaging.kafka.sink import FIND_TIMEOUT, SEND_TIMEOUT
from oms_chassis.messaging.relay import Relay
from oms_chassis.messaging.streams import StreamUnavailable
from oms_chassis.runtime.process import RELAY_IDLE
from oms_chassis.statements import Rows, execute
from oms_chassis.telemetry.metrics import Metrics


def test_an_unexpected_error_counts_as_an_unavailable_broker(database: Database, metrics: Metrics) -> None:
    put(database, record(b"bad"))
    with pytest.raises(StreamUnavailable, match="LookupError"):
        send_all(Relay(database, Broken(), metrics), database)
    assert (pending(database), quarantined(database)) == (1, [])


def test_a_relay_survives_an_unexpected_error(database: Database, metrics: Metrics) -> None:
    stream, put_bad = Broken(), record(b"bad")
    put(database, put_bad)
    relay = Relay(database, stream, metrics)
    thread = threading.Thread(target=relay.run)
    thread.start()
    try:
        eventually(lambda: stream.tries > 1)
        stream.error = ValueError()
        eventually(lambda: pending(database) == 0)
    finally:
        relay.stop()
        thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("is_replaced", [True, False])
def test_a_relay_that_was_delayed_after_reading_sends_only_if_it_still_leads(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch, is_replaced: bool
) -> None:
    stream, read = MemoryStream(), outbox.next_rows
    relay = Relay(database, stream, metrics)
    put(database, record(b"read"))

    def held_up(connection: Connection, *given: Sequence[Any]) -> Rows:
        rows = read(connection, *given)
        (session,) = execute(connection, "SELECT pg_backend_pid() AS id", {})
        if is_replaced:  # the server ends the session, as after RELAY_IDLE
            database.execute("SELECT pg_terminate_backend(%(id)s)", id=session.id)
        monkeypatch.setattr(relay, "_asked", time.monotonic() - 60)
        return rows

    monkeypatch.setattr(outbox, "next_rows", held_up)
    with database.autocommit() as connection, suppress(OperationalError):
        relay.send_batch(connection)
    assert (sent(stream), pending(database)) == (([], 1) if is_replaced else ([b"read"], 0))


def test_a_relay_keeps_its_lock_while_it_waits_for_a_broker() -> None:
    assert (
        relays.FRESH + FIND_TIMEOUT + SEND_TIMEOUT < RELAY_IDLE <= 25.0
    )  # and a relay that vanished is replaced within half a minute


def test_the_reason_for_an_interruption_is_logged_by_name_and_once(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, cut = Relay(database, MemoryStream(), metrics), outbox.next_rows
    attempts: list[int] = []

    def ended(connection: Connection, *given: Sequence[Any]) -> Rows:
        attempts.append(1)
        if len(attempts) < 4:
            execute(connection, "SELECT pg_terminate_backend(pg_backend_pid())", {})
        return cut(connection, *given)

    monkeypatch.setattr(outbox, "next_rows", ended)
    put(database, record(b"x"))
    with capture_logs() as logged, running(relay):
        eventually(lambda: pending(database) == 0)
    assert [(line["event"], line["error"]) for line in logged] == [("relay_interrupted", "AdminShutdown")]
