"""Gauges that stand for what is in the database."""

import pytest

from oms_chassis.db import Database
from oms_chassis.jobs.queue import Done, JobQueue, NewJob, Paused, Retry, enqueue
from oms_chassis.jobs.worker import Worker
from oms_chassis.runtime.gauges import refresh
from oms_chassis.telemetry.metrics import Metrics

WORKER = JobQueue("calls", lambda _: Done({}), lambda *_: None, lambda *_: None)


def oldest(database: Database, metrics: Metrics) -> float | None:
    refresh(database, metrics, [WORKER])
    return metrics.registry.get_sample_value("oms_jobs_oldest_seconds", {"queue": "calls"})


@pytest.fixture
def job(database: Database) -> None:
    """A call that was asked for ten minutes ago."""
    with database.transaction() as transaction:
        enqueue(transaction, "calls", [NewJob("one", "one", {})])
        transaction.run("UPDATE job SET created_at = now() - interval '10 minutes'")


@pytest.mark.usefixtures("job")
def test_a_call_that_is_to_be_made_later_is_not_overdue(database: Database, metrics: Metrics) -> None:
    database.execute("UPDATE job SET run_at = now() + interval '1 hour'")
    assert oldest(database, metrics) == 0.0
    assert metrics.registry.get_sample_value("oms_jobs_pending", {"queue": "calls"}) == 1.0


@pytest.mark.usefixtures("job")
def test_a_call_is_overdue_since_it_was_due(database: Database, metrics: Metrics) -> None:
    database.execute("UPDATE job SET run_at = now() - interval '1 minute'")
    found = oldest(database, metrics)
    assert found is not None
    assert 60 <= found < 120


def test_rows_in_quarantine_are_counted(database: Database, metrics: Metrics) -> None:
    database.execute(
        "INSERT INTO outbox_quarantine (id, topic, created_at, error) VALUES (1, 'a', now(), 'x'), (2, 'b', now(), 'x')"
    )
    refresh(database, metrics, [])
    assert metrics.registry.get_sample_value("oms_outbox_quarantined") == 2.0


def test_calls_are_counted_from_the_start(database: Database, metrics: Metrics) -> None:
    Worker(WORKER, database, metrics)
    for outcome in (Done, Retry, Paused):
        labels = {"queue": "calls", "outcome": outcome.__name__.lower()}
        assert metrics.registry.get_sample_value("oms_job_calls_total", labels) == 0.0
