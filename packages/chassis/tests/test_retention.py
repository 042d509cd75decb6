"""Retention: old rows are deleted in small steps, by one replica, without blocking others."""

import threading
import time
from typing import Any

import pytest
from pydantic import ValidationError
from support.chassis import eventually
from support.statements import statements

from oms_chassis.db import Database
from oms_chassis.messaging import inbox, outbox
from oms_chassis.retention import CHUNK, LOCK, Retention, prune
from oms_chassis.runtime import pruning
from oms_chassis.runtime.threads import Periodic, Task
from oms_chassis.sessions import Limits
from oms_chassis.settings import Settings

OLD, NEW = 80_000, 10
WEEK = inbox.retention(days=7)


@pytest.fixture
def filled(database: Database) -> Database:
    """An inbox with some hundred thousand expired rows, and a few that are not."""
    database.execute(
        "INSERT INTO inbox SELECT 'old-' || n, now() - interval '8 days' - n * interval '1 ms'"
        f" FROM generate_series(1, {OLD}) AS n"
    )
    database.execute(f"INSERT INTO inbox (event_id) SELECT 'new-' || n FROM generate_series(1, {NEW}) AS n")
    return database


def count(database: Database) -> int:
    return int(database.execute("SELECT count(*) AS n FROM inbox")[0].n)


def prune_all(database: Database, retention: Retention) -> None:
    while prune(database, retention) is not None:
        pass


def test_old_rows_are_deleted_in_chunks_and_not_returned(filled: Database) -> None:
    with statements(filled) as found:
        prune_all(filled, WEEK)
    assert count(filled) == NEW
    deletions = [one for one in found if "DELETE" in one.sql]
    assert len(deletions) > OLD // CHUNK
    assert max(one.rows for one in deletions) == CHUNK
    assert not any(one.has_returned for one in deletions)


def test_other_work_goes_on_meanwhile(filled: Database) -> None:
    pruning = threading.Thread(target=prune_all, args=(filled, WEEK))
    pruning.start()
    slowest, rounds = 0.0, 0
    while pruning.is_alive():
        began = time.monotonic()
        with filled.transaction() as transaction:
            assert inbox.new_ids(transaction, [f"fresh-{rounds}", "old-1"])
        slowest, rounds = max(slowest, time.monotonic() - began), rounds + 1
    pruning.join()
    assert rounds > 5
    assert slowest < 5.0


def test_one_replica_prunes_at_a_time(filled: Database) -> None:
    with filled.transaction() as other:
        other.execute(f"SELECT pg_advisory_xact_lock({LOCK}, hashtext('inbox'))")
        assert prune(filled, WEEK) is None
        assert count(filled) == OLD + NEW
    prune_all(filled, WEEK)
    assert count(filled) == NEW


def test_a_locked_row_keeps_no_other_from_being_deleted(database: Database) -> None:
    database.execute("INSERT INTO inbox SELECT n::text, now() - interval '8 days' FROM generate_series(1, 9) AS n")
    hasty = Database(database._url, 2, Limits(lock=0.1))
    with database.transaction() as other:
        other.execute("SELECT 1 FROM inbox WHERE event_id = '5' FOR UPDATE")
        prune_all(hasty, WEEK)
        assert [row.event_id for row in database.execute("SELECT event_id FROM inbox")] == ["5"]
    prune_all(hasty, WEEK)
    hasty.dispose()
    assert count(database) == 0


def test_a_replica_begins_soon_and_stops_between_two_chunks(filled: Database) -> None:
    task = pruning.task(filled, WEEK)
    assert task.first is not None
    assert 0 < task.first <= pruning.FIRST
    loop = Periodic(Task(task.name, task.call, task.every, first=0.01))
    running = threading.Thread(target=loop.run)
    running.start()
    eventually(lambda: count(filled) < OLD)
    loop.stop()
    running.join(10)
    assert not running.is_alive()
    assert count(filled) > NEW


def test_replicas_do_not_begin_together(database: Database) -> None:
    assert len({pruning.task(database, WEEK).first for _ in range(10)}) > 1


@pytest.mark.parametrize("name", ["dead_letter_days", "inbox_days"])
def test_no_event_can_be_applied_after_its_order_was_deleted(name: str) -> None:
    """A payment's tombstone is deleted with its order: a late event of a cancelled order would charge for it."""

    def settings(days: float, order_days: float | None) -> Settings:
        given: dict[str, Any] = {name: days, "order_days": order_days}
        return Settings(database_url="postgresql://x", kafka_bootstrap="x", **given)

    with pytest.raises(ValidationError, match=f"OMS_{name.upper()} must not be above OMS_ORDER_DAYS"):
        settings(60, 31)
    assert settings(31, 31).order_days == 31
    assert settings(60, None).order_days is None


@pytest.mark.parametrize(("days", "left"), [(31.0, ["new"]), (None, ["new", "old"])])
def test_a_quarantined_event_does_not_outlive_its_order(
    database: Database, days: float | None, left: list[str]
) -> None:
    """If it were sent later, it would begin an order that nobody knows any more, and charge for it."""
    for name, age in (("old", "32 days"), ("new", "30 days")):
        database.execute(
            "INSERT INTO outbox_quarantine (id, topic, created_at, error)"
            f" SELECT coalesce(max(id), 0) + 1, '{name}', now() - interval '{age}', 'x' FROM outbox_quarantine"
        )
    settings = Settings(database_url="postgresql://x", kafka_bootstrap="x", order_days=days)
    for task in pruning.tasks(database, settings, ()):
        task.call()
    found = database.execute("SELECT topic FROM outbox_quarantine ORDER BY topic")
    assert [row.topic for row in found] == left


def test_an_event_that_is_put_back_keeps_its_age(database: Database) -> None:
    database.execute(
        "INSERT INTO outbox_quarantine (id, topic, created_at, error)"
        " VALUES (1, 'anything', now() - interval '20 days', 'x')"
    )
    with database.transaction() as transaction:
        outbox.requeue(transaction, [1])
    assert database.execute("SELECT now() - created_at > interval '19 days' AS is_old FROM outbox")[0].is_old
