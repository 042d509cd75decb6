"""Dead jobs: given up, kept, redriven or deleted."""

from dataclasses import replace

import pytest
from support.chassis import dead_jobs

from oms_chassis.db import Database, Transaction
from oms_chassis.jobs import dead
from oms_chassis.jobs.dead import mark_dead
from oms_chassis.jobs.leases import give_back, renew
from oms_chassis.jobs.queue import (
    Done,
    Job,
    JobQueue,
    NewJob,
    Outcome,
    Paused,
    Retry,
    Settled,
    Unavailable,
    Waiting,
    claim,
    due_in,
    enqueue,
)
from oms_chassis.jobs.settling import Call, Settlement
from oms_chassis.retention import prune
from oms_chassis.runtime.gauges import refresh
from oms_chassis.telemetry.metrics import Metrics


def job_queue(redriven: list[Job] | None = None) -> JobQueue:
    def on_redrive(_: Transaction, jobs: list[Job]) -> None:
        (redriven if redriven is not None else []).extend(jobs)

    return JobQueue("calls", lambda _: Done(), lambda *_: None, lambda *_: None, on_redrive)


def bring_to_death(database: Database, *ids: str) -> None:
    with database.transaction() as transaction:
        enqueue(transaction, "calls", [NewJob(one, f"order-{one}", {"to": "ann@example.com"}) for one in ids])
        claimed = claim(transaction, "calls", 100, 60.0)
        mark_dead(transaction, "calls", [(job, "busy") for job in claimed])


def due(database: Database) -> list[Job]:
    with database.transaction() as transaction:
        return claim(transaction, "calls", 100, 60.0)


def test_a_job_that_was_given_up_is_kept_and_never_due(database: Database) -> None:
    bring_to_death(database, "a")
    assert due(database) == []
    (found,) = dead_jobs(database, "calls")
    assert (found.id, found.subject, found.failed_calls, found.last_error) == ("a", "order-a", 1, "busy")
    assert "ann@example.com" not in repr(found)


def test_only_the_owner_of_a_lease_gives_its_job_up(database: Database) -> None:
    with database.transaction() as transaction:
        enqueue(transaction, "calls", [NewJob("a", "order-a", {})])
        (slow,) = claim(transaction, "calls", 1, 0.0)
    with database.transaction() as transaction:
        claim(transaction, "calls", 1, 0.0)
        assert mark_dead(transaction, "calls", [(slow, "late")]) == set()
    assert dead_jobs(database, "calls") == []


def cancelled_under_way(database: Database) -> Job:
    """A job that was cancelled during its call."""
    with database.transaction() as transaction:
        enqueue(transaction, "calls", [NewJob("a", "order-a", {})])
        (job,) = claim(transaction, "calls", 1, 60.0)
    with database.transaction() as transaction:
        mark_dead(transaction, "calls", [(job, "cancelled")])
    return job


def is_kept_as_cancelled(database: Database) -> bool:
    never = database.execute("SELECT 1 FROM job WHERE run_at = 'infinity'")
    return bool(never) and [one.last_error for one in dead_jobs(database, "calls")] == ["cancelled"]


@pytest.mark.parametrize("outcome", [Retry("busy"), Unavailable("busy"), Paused("busy"), Waiting(0.0)], ids=repr)
def test_a_job_that_was_cancelled_during_its_call_is_not_called_again(
    database: Database, metrics: Metrics, outcome: Outcome
) -> None:
    job = cancelled_under_way(database)
    with database.transaction() as transaction:
        renew(transaction, "calls", [job], 0.0)
    Settlement(job_queue(), database, metrics).settle([Call(job, outcome)])
    assert is_kept_as_cancelled(database)
    assert due(database) == []


def test_a_job_that_was_cancelled_before_its_call_began_is_not_called(database: Database) -> None:
    job = cancelled_under_way(database)
    with database.transaction() as transaction:
        give_back(transaction, "calls", [job])
    assert is_kept_as_cancelled(database)


def test_a_job_is_given_up_once_if_it_was_cancelled_during_its_last_call(database: Database, metrics: Metrics) -> None:
    job = cancelled_under_way(database)
    given_up: list[Job] = []
    last = JobQueue("calls", lambda _: Done(), lambda *_: None, lambda _, jobs: given_up.extend(jobs), max_attempts=1)
    Settlement(last, database, metrics).settle([Call(job, Retry("busy"))])
    assert is_kept_as_cancelled(database)
    assert given_up == []


def test_a_call_that_succeeds_is_settled_even_if_its_job_was_cancelled_meanwhile(
    database: Database, metrics: Metrics
) -> None:
    """It is not repeated either if settling it takes a second attempt."""
    job, settled = cancelled_under_way(database), list[Job]()

    def settle(_: Transaction, ended: list[Settled]) -> None:
        settled.extend(one for one, _ in ended)
        if len(settled) == 1:
            raise RuntimeError

    settlement = Settlement(JobQueue("calls", lambda _: Done(), settle), database, metrics)
    settlement.settle([Call(job, Done())])
    database.execute("UPDATE job SET run_at = now()")
    (again,) = due(database)
    assert again.outcome == {"result": {}, "failures": 1}
    settlement.settle([Call(again, Done())])
    assert [one.id for one in settled] == ["a", "a"]
    assert not database.execute("SELECT 1 FROM job")


def test_a_dead_job_is_not_due_whatever_time_is_written_in_it(database: Database) -> None:
    """As for one that an earlier release made due after it was cancelled."""
    bring_to_death(database, "a")
    database.execute("UPDATE job SET run_at = now()")
    assert due(database) == []
    assert due_in(database, "calls") == float("inf")


def test_a_redriven_job_is_due_with_its_payload_and_no_failures(database: Database) -> None:
    redriven: list[Job] = []
    bring_to_death(database, "a", "b")
    with database.transaction() as transaction:
        assert dead.redrive(transaction, job_queue(redriven), ["a", "unknown"]) == {"a"}
    assert [job.id for job in redriven] == ["a"]
    (job,) = due(database)
    assert (job.id, job.payload, job.attempts) == ("a", {"to": "ann@example.com"}, 2)
    assert (job.failed_calls, job.failing_for) == (0, 0.0)
    assert [one.id for one in dead_jobs(database, "calls")] == ["b"]


def test_a_job_that_is_not_dead_is_not_redriven(database: Database) -> None:
    with database.transaction() as transaction:
        enqueue(transaction, "calls", [NewJob("a", "order-a", {})])
        claim(transaction, "calls", 1, 60.0)
        assert dead.redrive(transaction, job_queue(), ["a"]) == set()
    assert due(database) == []


def test_redriven_jobs_wake_the_worker(database: Database) -> None:
    bring_to_death(database, "a")
    woken = database.signals.event("calls")
    with database.transaction() as transaction:
        dead.redrive(transaction, job_queue(), ["a"])
    assert woken.is_set()


def test_dead_jobs_are_deleted_after_their_time(database: Database) -> None:
    bring_to_death(database, "a", "b", "c", "d", "e", "f")
    database.execute("UPDATE job SET dead_at = dead_at - interval '15 days' WHERE id <> 'f'")
    (retention,) = dead.retention(14.0, [job_queue()])
    prune(database, retention)
    assert [one.id for one in dead_jobs(database, "calls")] == ["f"]


def test_dead_jobs_of_a_queue_that_never_gives_up_are_kept(database: Database) -> None:
    """The outcome of a charge could not be written: without the job, nobody would ever ask for it."""
    bring_to_death(database, "a")
    database.execute("UPDATE job SET dead_at = dead_at - interval '15 days'")
    other = replace(job_queue(), name="others")
    for retention in dead.retention(14.0, [replace(job_queue(), max_attempts=None), other]):
        prune(database, retention)
    assert [one.id for one in dead_jobs(database, "calls")] == ["a"]
    assert dead.retention(14.0, [replace(job_queue(), max_attempts=None)]) == []


def test_dead_jobs_are_counted_apart_from_waiting_ones(database: Database, metrics: Metrics) -> None:
    bring_to_death(database, "a", "b")
    refresh(database, metrics, [job_queue()])
    values = {name: metrics.registry.get_sample_value(name, {"queue": "calls"}) for name in GAUGES}
    assert values == {"oms_jobs_dead": 2.0, "oms_jobs_pending": 0.0, "oms_jobs_oldest_seconds": 0.0}


GAUGES = ("oms_jobs_dead", "oms_jobs_pending", "oms_jobs_oldest_seconds")
