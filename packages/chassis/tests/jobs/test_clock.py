"""The database's clock is set back."""

import threading
from collections import Counter

import pytest
from support.chassis import eventually
from support.jobs import claim, is_empty, job_queue, put, running

from oms_chassis.db import Database
from oms_chassis.jobs import leases
from oms_chassis.jobs.queue import Done, Job, Retry
from oms_chassis.telemetry.metrics import Metrics


@pytest.mark.parametrize("state", ["due", "postponed", "leased to a worker that died"])
def test_a_job_becomes_due_after_the_clock_was_set_back(database: Database, metrics: Metrics, state: str) -> None:
    put(database, "job")
    if state != "due":
        claimed = claim(database)
        with database.transaction() as transaction:
            leases.postpone(transaction, "calls", [(job, Retry("why")) for job in claimed if state == "postponed"])
    put_back(database)
    with running(job_queue(lambda _: Done(), lease_seconds=0.3), database, metrics):
        eventually(lambda: is_empty(database))


def test_an_unclaimed_job_becomes_due_soon_after_the_clock_was_set_back(database: Database, metrics: Metrics) -> None:
    put(database, "job")
    put_back(database)
    with running(job_queue(lambda _: Done(), lease_seconds=300.0), database, metrics):
        eventually(lambda: is_empty(database))


def test_a_call_during_which_the_clock_is_set_back_is_made_once(database: Database, metrics: Metrics) -> None:
    called, goes_on = Counter[str](), threading.Event()

    def call(job: Job) -> Done:
        called[job.id] += 1
        goes_on.wait(10.0)
        return Done()

    put(database, "job")
    with running(job_queue(call, lease_seconds=0.6), database, metrics):
        eventually(lambda: called)
        put_back(database)
        eventually(lambda: is_soon(database))
        put(database, "another")
        eventually(lambda: called["another"])
        goes_on.set()
        eventually(lambda: is_empty(database))
    assert called == {"job": 1, "another": 1}


def test_calls_have_not_failed_for_a_negative_time_after_the_clock_was_set_back(database: Database) -> None:
    put(database, "job")
    for _ in range(2):
        with database.transaction() as transaction:
            leases.postpone(transaction, "calls", [(job, Retry("why")) for job in claim(database)])
        put_back(database)
        database.execute("UPDATE job SET run_at = now()")
    with database.transaction() as transaction:
        leases.postpone(transaction, "calls", [(job, Retry("why")) for job in claim(database)])
    assert database.execute("SELECT failing_since <= now() AS past FROM job")[0].past


def put_back(database: Database) -> None:
    """Change all rows as if the clock had been set back by some hours."""
    database.execute(
        "UPDATE job SET run_at = run_at + interval '3 hours', failing_since = failing_since + interval '3 hours'"
    )


def is_soon(database: Database) -> bool:
    return not database.execute("SELECT 1 FROM job WHERE run_at > now() + interval '1 hour'")
