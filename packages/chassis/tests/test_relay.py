"""What cannot be sent stops nothing else."""

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError, ProgrammingError
from structlog.testing import capture_logs
from support.chassis import MemoryStream, chassis_only, eventually, running

from oms_chassis.db import Database
from oms_chassis.messaging import outbox
from oms_chassis.messaging import relay as relays
from oms_chassis.messaging.kafka.sink import FIND_TIMEOUT, SEND_TIMEOUT
from oms_chassis.messaging.relay import Relay
from oms_chassis.messaging.streams import Headers, Outgoing, StreamUnavailable
from oms_chassis.runtime.process import RELAY_IDLE
from oms_chassis.sessions import Limits
from oms_chassis.statements import Rows, execute
from oms_chassis.telemetry.metrics import Metrics
from oms_servers.ports import free_port
from oms_servers.postgres import NO_FSYNC, PostgresServer


def put(database: Database, *records: Outgoing) -> None:
    with database.transaction() as transaction:
        outbox.emit_records(transaction, records)


def record(value: bytes | None, key: bytes | None = b"key", topic: str = "topic", headers: Headers = ()) -> Outgoing:
    return Outgoing(topic, key, value, headers)


def send_all(relay: Relay, database: Database) -> None:
    with database.autocommit() as connection:
        while relay.send_batch(connection):
            pass


def sent(stream: MemoryStream, topic: str = "topic") -> list[bytes | None]:
    """What was sent, repetitions left out."""
    return list(dict.fromkeys(one.value for one in stream.records.get(topic, [])))


def quarantined(database: Database) -> list[Any]:
    return list(database.execute("SELECT * FROM outbox_quarantine ORDER BY id"))


def pending(database: Database) -> int:
    return int(database.execute("SELECT count(*) AS n FROM outbox")[0].n)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (record(None, None), "ValueError"),
        (record(b"x", headers=[("name", None)]), "TypeError"),
        (record(b"x" * 3000), "MessageSizeTooLargeError"),
    ],
)
def test_a_row_that_cannot_be_sent_goes_into_quarantine_and_the_rest_is_sent(
    database: Database, metrics: Metrics, bad: Outgoing, error: str
) -> None:
    stream, good = MemoryStream(), [record(str(number).encode()) for number in range(9)]
    stream.limit = 2000
    put(database, *good[:4], bad, *good[4:])
    send_all(Relay(database, stream, metrics), database)
    assert sent(stream) == [one.value for one in good]
    assert pending(database) == 0
    (row,) = quarantined(database)
    assert (row.topic, row.error, outbox.outgoing(row)) == (
        "topic",
        error,
        Outgoing("topic", bad.key, bad.value, [*bad.headers]),
    )
    assert row.created_at <= row.quarantined_at
    assert metrics.quarantined.labels("topic")._value.get() == 1
    assert metrics.relayed.labels("topic")._value.get() == 9


def test_what_was_quarantined_can_be_put_back(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    stream.limit = 10
    put(database, record(b"x" * 20), record(b"y"))
    relay = Relay(database, stream, metrics)
    send_all(relay, database)
    stream.limit = 100
    with database.transaction() as transaction:
        assert outbox.requeue(transaction, [row.id for row in quarantined(database)]) == 1
    send_all(relay, database)
    assert sent(stream) == [b"y", b"x" * 20]
    assert quarantined(database) == []


def test_a_topic_that_is_missing_keeps_its_rows_in_order_and_stops_no_other(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = MemoryStream()
    stream.missing = {"missing"}
    relay = Relay(database, stream, metrics)
    put(database, *(record(b"%d" % n, topic="missing" if n % 2 else "topic") for n in range(10)))
    send_all(relay, database)
    assert sent(stream) == [b"0", b"2", b"4", b"6", b"8"]
    assert (pending(database), quarantined(database)) == (5, [])
    stream.missing = set()
    monkeypatch.setattr(relay, "_refused", {"missing": 0.0})
    send_all(relay, database)
    assert sent(stream, "missing") == [b"1", b"3", b"5", b"7", b"9"]


class Broken(MemoryStream):
    """A client with a fault of its own."""

    error: Exception = LookupError()
    tries = 0

    def send(self, records: Sequence[Outgoing]) -> None:
        self.tries += 1
        if any(one.value == b"bad" for one in records):
            raise self.error
        super().send(records)


@pytest.mark.parametrize(
    "error", [ValueError(), TypeError(), AssertionError(), UnicodeEncodeError("utf-8", "", 0, 1, "")]
)
def test_an_error_about_the_arguments_is_one_of_the_row(database: Database, metrics: Metrics, error: Exception) -> None:
    stream = Broken()
    stream.error = error
    put(database, record(b"a"), record(b"bad"), record(b"b"))
    send_all(Relay(database, stream, metrics), database)
    assert sent(stream) == [b"a", b"b"]
    assert [row.error for row in quarantined(database)] == [type(error).__name__]


def test_an_error_that_nobody_foresaw_counts_as_the_broker_s_absence(database: Database, metrics: Metrics) -> None:
    put(database, record(b"bad"))
    with pytest.raises(StreamUnavailable, match="LookupError"):
        send_all(Relay(database, Broken(), metrics), database)
    assert (pending(database), quarantined(database)) == (1, [])


def test_a_relay_outlives_an_error_that_nobody_foresaw(database: Database, metrics: Metrics) -> None:
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


def test_a_batch_is_bounded_by_its_bytes(database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BATCH_BYTES", 1000)
    put(database, record(b"x" * 2000), *(record(b"%d" % n + b"y" * 399) for n in range(5)))
    with database.autocommit() as connection:
        sizes = []
        while count := Relay(database, MemoryStream(), metrics).send_batch(connection):
            sizes.append(count)
    assert sizes == [1, 2, 2, 1]


def test_a_service_counts_its_topics_from_the_start(database: Database, metrics: Metrics) -> None:
    Relay(database, MemoryStream(), metrics, ["one", "other"])
    for name in ("oms_relay_events_total", "oms_outbox_quarantined_total"):
        assert [metrics.registry.get_sample_value(name, {"topic": topic}) for topic in ("one", "other")] == [0.0, 0.0]


@pytest.mark.parametrize("is_replaced", [True, False])
def test_a_relay_that_is_held_up_after_it_has_read_sends_only_if_it_still_leads(
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


def test_waiting_for_a_broker_costs_a_relay_no_lock() -> None:
    assert (
        relays.FRESH + FIND_TIMEOUT + SEND_TIMEOUT < RELAY_IDLE <= 25.0
    )  # and a relay that vanished is replaced within half a minute


def test_rows_that_were_sent_and_cannot_be_deleted_are_not_sent_again_and_again(
    database: Database, metrics: Metrics
) -> None:
    database.execute("""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'insufficient_privilege'; END $$""")
    database.execute("CREATE TRIGGER refuse BEFORE DELETE ON outbox EXECUTE FUNCTION refuse()")
    stream = MemoryStream()
    put(database, *(record(str(number).encode()) for number in range(5)))
    relay = Relay(database, stream, metrics)
    for _ in range(3):
        with pytest.raises(ProgrammingError), database.autocommit() as connection:
            relay.send_batch(connection)
    assert len(stream.records["topic"]) == 5
    database.execute("DROP TRIGGER refuse ON outbox")
    put(database, record(b"new"))
    send_all(relay, database)
    assert pending(database) == 0
    assert len(stream.records["topic"]) == 6


class Watched(Relay):
    """Counts its looks at the outbox."""

    looks = 0

    def send_batch(self, connection: Connection) -> int:
        found = super().send_batch(connection)
        self.looks += 1
        return found


def test_a_row_that_somebody_holds_stops_no_other_and_is_sent_once(database: Database, metrics: Metrics) -> None:
    stream, hasty = MemoryStream(), Database(database._url, 2, Limits(lock=0.2))
    values = [b"%d" % number for number in range(5)]
    put(database, *map(record, values))
    with ExitStack() as holding:
        other = holding.enter_context(database.transaction())
        assert other.run("SELECT 1 FROM outbox WHERE value = '2' FOR UPDATE")
        with running(Relay(hasty, stream, metrics)):
            for value in (b"5", b"6"):
                put(hasty, record(value))
                eventually(lambda value=value: value in sent(stream))  # type: ignore[misc]
            eventually(lambda: pending(database) == 1)
            holding.close()
            eventually(lambda: pending(database) == 0)
    hasty.dispose()
    assert [one.value for one in stream.records["topic"]] == [*values, b"5", b"6"]


def test_rows_that_another_server_gave_the_ids_of_sent_ones_are_sent(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes over without the last commits, and its sequence goes on where it had got to."""
    stream, delete, server = MemoryStream(), outbox.delete, outbox.server
    put(database, record(b"sent"))

    def fail_over(connection: Connection, ids: Sequence[int]) -> None:
        monkeypatch.setattr(outbox, "delete", delete)
        monkeypatch.setattr(outbox, "server", lambda now: server(now) + timedelta(hours=1))
        database.execute("TRUNCATE outbox RESTART IDENTITY")
        put(database, record(b"new"))
        execute(connection, "SELECT pg_terminate_backend(pg_backend_pid())", {})
        delete(connection, ids)

    monkeypatch.setattr(outbox, "delete", fail_over)
    with running(Relay(database, stream, metrics)):
        eventually(lambda: b"new" in sent(stream) and pending(database) == 0)
    assert sent(stream) == [b"sent", b"new"]


def test_why_a_relay_is_interrupted_is_said_by_its_name_and_once(
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


def test_a_relay_is_woken_by_a_commit_of_its_own_process(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "IDLE", 600.0)
    stream = MemoryStream()
    relay = Watched(database, stream, metrics)
    with running(relay):
        eventually(lambda: relay.looks > 0)
        put(database, record(b"first"))
        eventually(lambda: sent(stream) == [b"first"])
        put(database, record(b"second"))
        eventually(lambda: sent(stream) == [b"first", b"second"])


def test_what_was_sent_whole_is_followed_by_no_look_and_what_was_not_by_one_at_once(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "IDLE", 600.0)
    monkeypatch.setattr(outbox, "BATCH_BYTES", 1000)
    stream = MemoryStream()
    stream.missing.add("gone")
    relay = Watched(database, stream, metrics)
    with running(relay):
        eventually(lambda: relay.looks == 1)
        put(database, record(b"alone"))
        eventually(lambda: sent(stream) == [b"alone"])
        put(database, *(record(b"%d" % n + b"y" * 399) for n in range(5)))
        eventually(lambda: len(sent(stream)) == 6)
        eventually(lambda: relay.looks == 5)
        put(database, record(b"kept", topic="gone"), record(b"last"))
        eventually(lambda: sent(stream)[-1] == b"last")
        eventually(lambda: relay.looks == 7)


def test_once_another_replica_has_written_its_rows_are_looked_for_more_often(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "IDLE", 0.05)
    stream = MemoryStream()
    other = Database(database._url, 1)
    relay = Watched(database, stream, metrics)
    try:
        with running(relay):
            eventually(lambda: relay.looks > 2)
            put(other, record(b"first"))
            eventually(lambda: sent(stream) == [b"first"])
            monkeypatch.setattr(relays, "IDLE", 600.0)
            put(other, record(b"second"))
            eventually(lambda: sent(stream) == [b"first", b"second"])
    finally:
        other.dispose()


def test_no_disk_and_no_standby_is_waited_for_after_sending(servers_folder: Path, metrics: Metrics) -> None:
    settings = {**NO_FSYNC, "wal_level": "replica", "max_wal_senders": "1"}
    stream = MemoryStream()
    with PostgresServer(servers_folder / "replicated", free_port(), settings=settings) as server:
        database = chassis_only(server.url)
        put(database, record(b"1"), record(b"2"))
        database.execute("ALTER SYSTEM SET synchronous_standby_names = 'away'")
        database.execute("SELECT pg_reload_conf()")
        eventually(lambda: database.execute("SHOW synchronous_standby_names")[0][0])
        with running(Relay(database, stream, metrics)):
            eventually(lambda: not pending(database), within=5.0)
        database.dispose()
    assert sent(stream) == [b"1", b"2"]


def test_rows_whose_deletion_a_crash_of_the_server_undid_are_sent_again_in_order(
    servers_folder: Path, metrics: Metrics
) -> None:
    stream, values = MemoryStream(), [b"1", b"2", b"3"]
    with PostgresServer(servers_folder / "crashing", free_port(), settings={"wal_writer_delay": "10s"}) as server:
        database = chassis_only(server.url)
        put(database, *map(record, values))
        with running(Relay(database, stream, metrics)):
            eventually(lambda: not pending(database))
            server.kill()
            server.start()
            server.await_ready()
            undone = pending(database)  # all, unless the log was written just before
            put(database, record(b"after it"))
            eventually(lambda: b"after it" in sent(stream) and not pending(database))
        database.dispose()
    again = values if undone else []
    assert [one.value for one in stream.records["topic"]] == [*values, *again, b"after it"]
