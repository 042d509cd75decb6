"""Transactions, and the errors that count as an unavailable database."""

from typing import cast

import psycopg
import pytest
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from oms_chassis import db
from oms_chassis.admin.acts import OperatorAct
from oms_chassis.db import Database
from oms_chassis.failures import is_unavailable
from oms_chassis.sessions import leaves_outcome_open
from oms_chassis.statements import execute
from oms_chassis.telemetry import tracing


def _insert(database: Database, *items: str) -> None:
    with database.transaction() as transaction:
        sql = "INSERT INTO seen (item) SELECT item FROM json_to_recordset(%(rows)s::json) AS r(item text)"
        transaction.execute_rows(sql, [{"item": item} for item in items])


def _items(database: Database) -> list[str]:
    return [row.item for row in database.execute("SELECT item FROM seen ORDER BY item")]


def test_a_block_that_ends_is_committed(database: Database) -> None:
    _insert(database, "a", "b")
    assert _items(database) == ["a", "b"]


def test_a_block_that_raises_leaves_nothing_and_wakes_nobody(database: Database) -> None:
    woken = database.signals.event("outbox")

    def fail() -> None:
        with database.transaction() as transaction:
            transaction.execute("INSERT INTO seen (item) VALUES ('a')")
            transaction.signals.add("outbox")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert _items(database) == []
    assert not woken.is_set()


def test_a_report_is_made_after_the_commit_in_the_trace_of_its_transaction(database: Database) -> None:
    said: list[object] = []

    def say() -> None:
        said.append((tracing.current(), database.execute("SELECT count(*) AS n FROM seen")[0].n))

    with database.transaction() as transaction, tracing.within(None) as step:
        transaction.execute("INSERT INTO seen (item) VALUES ('a')")
        transaction.after_commit(say)
        assert said == []
    assert said == [(step, 1)]


def test_a_rolled_back_transaction_makes_no_report(database: Database) -> None:
    said: list[str] = []
    with OperatorAct("ann", dry_run=True).transaction(database) as transaction:
        transaction.after_commit(lambda: said.append("done"))
    assert said == []


def test_no_rows_send_no_statement(database: Database) -> None:
    with database.transaction() as transaction:
        assert transaction.execute_rows("this is not SQL", []) == []


def test_a_statement_that_fails_is_its_own_fault_and_its_error_shows_no_parameters(database: Database) -> None:
    with pytest.raises(SQLAlchemyError) as caught:
        database.execute("SELECT 1 / %(number)s::int, %(secret)s::text", number=0, secret="do-not-show")
    assert not is_unavailable(caught.value)
    assert "do-not-show" not in str(caught.value)


def test_a_cut_connection_counts_as_an_unavailable_database(database: Database) -> None:
    with pytest.raises(SQLAlchemyError) as caught, database.autocommit() as connection:
        execute(connection, "SELECT pg_terminate_backend(pg_backend_pid())", {})
    assert is_unavailable(caught.value)
    assert database.execute("SELECT 1 AS one")[0].one == 1


def test_a_statement_on_a_closed_connection_counts_as_an_unavailable_database_and_did_nothing(
    database: Database,
) -> None:
    errors: list[Exception] = []

    def write() -> None:
        with database.transaction() as transaction:
            transaction.execute("SELECT 1")
            cast("psycopg.Connection", transaction.connection.connection.driver_connection).close()
            try:
                transaction.execute("INSERT INTO seen (item) VALUES ('a')")
            except Exception as error:
                errors.append(error)
                raise

    with pytest.raises(OperationalError) as caught:
        write()
    assert errors == [caught.value]
    assert is_unavailable(caught.value)
    assert not leaves_outcome_open(caught.value)
    assert _items(database) == []


def _cut_the_idle(database: Database, monkeypatch: pytest.MonkeyPatch, trusted: float) -> None:
    monkeypatch.setattr(db, "PING_AFTER_IDLE", trusted)
    with database.autocommit() as one, database.autocommit() as other:
        backend = execute(one, "SELECT pg_backend_pid() AS pid", {})[0].pid
        execute(other, "SELECT 1", {})
        execute(other, f"SELECT pg_terminate_backend({backend}, 5000)", {})


def test_a_connection_that_was_cut_while_idle_is_replaced_before_its_use(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    _cut_the_idle(database, monkeypatch, trusted=0.0)
    for _ in range(3):
        with database.autocommit() as one, database.autocommit() as other:
            assert execute(one, "SELECT 1", {}) == execute(other, "SELECT 1", {})


def test_a_recently_used_connection_is_not_pinged_and_one_failure_replaces_all(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    _cut_the_idle(database, monkeypatch, trusted=60.0)

    def use_both() -> None:
        with database.autocommit() as one, database.autocommit() as other:
            execute(one, "SELECT 1", {})
            execute(other, "SELECT 1", {})

    with pytest.raises(SQLAlchemyError) as caught:
        use_both()
    assert is_unavailable(caught.value)
    use_both()


def test_a_lost_connection_is_not_replaced_within_its_block(database: Database) -> None:
    """Locks that it held are gone: the block must not continue without them."""
    with database.autocommit() as connection:
        with pytest.raises(SQLAlchemyError):
            execute(connection, "SELECT pg_terminate_backend(pg_backend_pid())", {})
        with pytest.raises(SQLAlchemyError):
            execute(connection, "SELECT 1", {})
