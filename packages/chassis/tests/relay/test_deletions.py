"""Rows that were sent but are not deleted yet."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import ProgrammingError
from support.chassis import MemoryStream, chassis_only, eventually, running
from support.relaying import pending, put, record, send_all, sent

from oms_chassis.db import Database
from oms_chassis.messaging import outbox
from oms_chassis.messaging.relay import Relay
from oms_chassis.sessions import Limits
from oms_chassis.statements import execute
from oms_chassis.telemetry.metrics import Metrics
from oms_servers.ports import free_port
from oms_servers.postgres import NO_FSYNC, PostgresServer


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


def test_a_locked_row_stops_no_other_and_is_sent_once(database: Database, metrics: Metrics) -> None:
    stream, hasty = MemoryStream(), Database(database._url, 2, Limits(lock=0.2))
    values = [b"%d" % number for number in range(5)]
    put(database, *map(record, values))
    with ExitStack() as holding:
        other = holding.enter_context(database.transaction())
        assert other.execute("SELECT 1 FROM outbox WHERE value = '2' FOR UPDATE")
        with running(Relay(hasty, stream, metrics)):
            for value in (b"5", b"6"):
                put(hasty, record(value))
                eventually(lambda value=value: value in sent(stream))  # type: ignore[misc]
            eventually(lambda: pending(database) == 1)
            holding.close()
            eventually(lambda: pending(database) == 0)
    hasty.dispose()
    assert [one.value for one in stream.records["topic"]] == [*values, b"5", b"6"]


def test_rows_to_which_another_server_gave_the_ids_of_sent_ones_are_sent(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes over without the last commits, and its sequence continues from there."""
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


def test_deletions_wait_for_neither_disk_nor_standby(servers_folder: Path, metrics: Metrics) -> None:
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
