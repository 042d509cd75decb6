"""Leases and fencing: which worker a job belongs to, and for how long."""

import time

import pytest
from support.chassis import eventually
from support.jobs import claim, is_empty, job_queue, put, running
from support.seen import seen

from oms_chassis.db import Database
from oms_chassis.jobs import leases, worker
from oms_chassis.jobs import queue as jobs
from oms_chassis.jobs.queue import Done, Job, Outcome, Retry
from oms_chassis.telemetry.metrics import Metrics


def test_a_job_of_another_worker_is_claimed_once_its_lease_has_ended(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "IDLE", 600.0)
    put(database, "left")
    claim(database, lease=0.5)
    with running(job_queue(lambda _: Done(), lease_seconds=9000.0), database, metrics):
        eventually(lambda: is_empty(database))


def test_jobs_that_are_never_due_are_not_waited_for(database: Database) -> None:
    assert jobs.due_in(database, "calls") == float("inf")
    put(database, "dead")
    database.execute("UPDATE job SET run_at = 'infinity'")
    assert jobs.due_in(database, "calls") == float("inf")
    put(database, "due")
    assert jobs.due_in(database, "calls") <= 0.0
    claim(database, lease=60.0)
    assert 0.0 < jobs.due_in(database, "calls") <= 60.0


def test_a_claimed_job_is_hidden_until_its_lease_ends(database: Database) -> None:
    put(database, "a")
    assert [job.attempts for job in claim(database, lease=0.0)] == [1]
    assert [job.attempts for job in claim(database, lease=60.0)] == [2]
    assert claim(database) == []


def test_a_call_that_outlasts_its_lease_is_made_once(database: Database, metrics: Metrics) -> None:
    calls: list[int] = []

    def call(job: Job) -> Done:
        calls.append(job.attempts)
        time.sleep(2.5 * slow.lease_seconds)
        return Done()

    slow = job_queue(call, lease_seconds=2.0)
    put(database, "a")
    with running(slow, database, metrics), running(slow, database, metrics):
        eventually(lambda: is_empty(database), 30)
    assert calls == [1]
    assert seen(database) == {"a": 1}


def test_only_the_owner_of_a_lease_renews_it(database: Database) -> None:
    put(database, "a")
    (slow,) = claim(database, lease=0.0)
    with database.transaction() as transaction:
        leases.renew(transaction, "calls", [slow], 60.0)
    assert claim(database) == []
    with database.transaction() as transaction:
        leases.renew(transaction, "calls", [slow], 0.0)
    (other,) = claim(database)
    with database.transaction() as transaction:
        leases.renew(transaction, "calls", [slow], 0.0)
    assert claim(database) == []
    assert other.attempts == 2


def test_a_worker_that_was_too_slow_settles_nothing(database: Database) -> None:
    put(database, "a")
    (slow,) = claim(database, lease=0.0)
    (other,) = claim(database)
    with database.transaction() as transaction:
        assert leases.finish(transaction, "calls", [slow]) == set()
        leases.postpone(transaction, "calls", [(slow, Retry("late"))])
        assert leases.finish(transaction, "calls", [other]) == {"a"}


def test_a_job_that_waited_too_long_for_its_call_costs_no_attempt(database: Database, metrics: Metrics) -> None:
    calls: list[tuple[str, int]] = []

    def call(job: Job) -> Done:
        calls.append((job.id, job.attempts))
        if len(calls) == 1:
            time.sleep(0.75 * slow.lease_seconds)
        return Done()

    slow = job_queue(call, concurrency=1, lease_seconds=2.0)
    put(database, "a", "b")
    with running(slow, database, metrics):
        eventually(lambda: is_empty(database), 1.9 * slow.lease_seconds)  # not at the end of the lease, but at once
    assert sorted(calls) == [("a", 1), ("b", 1)]


def test_workers_that_die_before_their_calls_cost_no_attempt(database: Database, metrics: Metrics) -> None:
    calls: list[tuple[int, int]] = []

    def call(job: Job) -> Outcome:
        calls.append((job.attempts, job.failed_calls))
        return Retry("busy")

    put(database, "a")
    for _ in range(5):
        claim(database, lease=0.0)
    with running(job_queue(call, max_attempts=3), database, metrics):
        eventually(lambda: seen(database) == {"a given up": 1})
    assert calls == [(6, 0), (7, 1), (8, 2)]


def test_a_job_knows_for_how_long_its_calls_have_failed(database: Database) -> None:
    put(database, "a")
    (job,) = claim(database, lease=0.0)
    assert job.failing_for == 0.0
    for _ in range(2):
        with database.transaction() as transaction:
            leases.postpone(transaction, "calls", [(job, Retry("busy"))])
        database.execute("UPDATE job SET run_at = now(), failing_since = failing_since - interval '1 minute'")
        (job,) = claim(database, lease=0.0)
    assert 120.0 <= job.failing_for < 180.0
