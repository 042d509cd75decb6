"""The worker claims, calls and settles jobs, and repeats failed calls."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import structlog.testing
from sqlalchemy.exc import ProgrammingError
from support.chassis import eventually
from support.jobs import claim, is_empty, job_queue, put, running
from support.seen import seen

from oms_chassis import pacing
from oms_chassis.db import Database
from oms_chassis.jobs import leases, listing, settling, worker
from oms_chassis.jobs.queue import Done, Job, Outcome, Retry, Waiting
from oms_chassis.telemetry.metrics import Metrics


def test_each_job_is_called_and_settled_once(database: Database, metrics: Metrics) -> None:
    called: Counter[str] = Counter()

    def call(job: Job) -> Done:
        called[job.id] += 1
        return Done()

    ids = [f"job-{number}" for number in range(100)]
    put(database, *ids)
    with running(job_queue(call), database, metrics), running(job_queue(call), database, metrics):
        eventually(lambda: is_empty(database))
    assert called == Counter(ids)
    assert seen(database) == dict.fromkeys(ids, 1)


def test_a_job_after_a_quiet_time_is_settled_as_soon_as_its_call_ends(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "SHORTEST", 60.0)
    monkeypatch.setattr(pacing, "LONGEST", 60.0)
    with running(job_queue(lambda _: Done()), database, metrics):
        put(database, "job")
        eventually(lambda: is_empty(database))


def test_due_jobs_are_claimed_without_pauses_however_many_there_are(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "SOON", 600.0)
    monkeypatch.setattr(worker, "IDLE", 600.0)
    put(database, *(f"job-{number}" for number in range(100)))
    with running(job_queue(lambda _: Done(), concurrency=2, lease_seconds=9000.0), database, metrics):
        eventually(lambda: is_empty(database))
        put(database, "one more")
        eventually(lambda: is_empty(database))


@pytest.mark.parametrize("table", ["job", "seen"])
def test_a_schema_that_does_not_fit_pauses_the_queue_and_gives_nothing_up(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    monkeypatch.setattr(worker, "FAULT_PAUSE", 0.05)
    monkeypatch.setattr(settling, "SETTLE_ATTEMPTS", 10**6)
    called: Counter[str] = Counter()

    def call(job: Job) -> Done:
        called[job.id] += 1
        return Done()

    def faults() -> float:
        paused = metrics.registry.get_sample_value("oms_job_queue_paused", {"queue": "calls"}) or 0.0
        return paused + (metrics.registry.get_sample_value("oms_job_settle_failures_total", {"queue": "calls"}) or 0.0)

    put(database, "a", "b")
    database.execute(f"ALTER TABLE {table} RENAME TO gone")
    with running(job_queue(call), database, metrics):
        eventually(faults)
        database.execute(f"ALTER TABLE gone RENAME TO {table}")
        eventually(lambda: is_empty(database))
        eventually(lambda: metrics.registry.get_sample_value("oms_job_queue_paused", {"queue": "calls"}) == 0.0)
    assert called == Counter(["a", "b"])
    assert seen(database) == {"a": 1, "b": 1}


def test_a_schema_that_does_not_fit_is_logged_once(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "FAULT_PAUSE", 0.01)
    attempts: list[int] = []

    def no_job(*_: object) -> list[Job]:
        attempts.append(1)
        raise ProgrammingError("", {}, Exception())

    monkeypatch.setattr(worker, "claim", no_job)
    with structlog.testing.capture_logs() as logged, running(job_queue(lambda _: Done()), database, metrics):
        eventually(lambda: len(attempts) > 5)
    assert [line["event"] for line in logged] == ["schema_does_not_fit"]


def test_a_second_job_with_the_same_id_is_ignored(database: Database) -> None:
    put(database, "a")
    put(database, "a", "b")
    assert {job.id for job in claim(database)} == {"a", "b"}


def test_a_failed_call_is_repeated_and_counted(database: Database, metrics: Metrics) -> None:
    attempts = []

    def call(job: Job) -> Outcome:
        attempts.append(job.attempts)
        if len(attempts) == 1:
            return Retry("busy")
        if len(attempts) == 2:
            raise ConnectionError
        return Done()

    put(database, "a")
    with running(job_queue(call), database, metrics):
        eventually(lambda: is_empty(database))
    assert attempts == [1, 2, 3]
    assert seen(database) == {"a": 1}


def test_an_unavailable_database_is_logged_once(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[None] = []
    monkeypatch.setattr(worker, "beat", lambda: looks.append(None))
    nowhere = Database("postgresql://nobody@127.0.0.1:1/none", 4)
    with structlog.testing.capture_logs() as logged, running(job_queue(lambda _: Done()), nowhere, metrics):
        eventually(lambda: len(looks) > 3)
    assert [one["event"] for one in logged] == ["database_unavailable"]


class Panic(BaseException):
    """An error such as a library's Rust code raises, which is not an Exception."""


def test_a_call_that_panics_is_repeated(database: Database, metrics: Metrics) -> None:
    calls: list[Job] = []

    def call(job: Job) -> Outcome:
        calls.append(job)
        if len(calls) == 1:
            raise Panic
        return Done()

    put(database, "a")
    with running(job_queue(call), database, metrics):
        eventually(lambda: is_empty(database))
    assert len(calls) == 2


def test_a_call_can_leave_changes_for_the_next_one(database: Database, metrics: Metrics) -> None:
    payloads = []

    def call(job: Job) -> Outcome:
        payloads.append(job.payload)
        return Retry("busy", {"seen": len(payloads)}) if len(payloads) < 3 else Done()

    put(database, "a")
    with running(job_queue(call), database, metrics):
        eventually(lambda: is_empty(database))
    assert payloads == [{"n": 1}, {"n": 1, "seen": 1}, {"n": 1, "seen": 2}]


def test_a_call_that_the_provider_has_not_finished_is_asked_about_later_and_has_not_failed(
    database: Database, metrics: Metrics
) -> None:
    put(database, "a")
    outcomes: list[Outcome] = [Retry("away"), Waiting(0.05, {"key": "b"}), Waiting(600.0)]
    seen: list[Job] = []

    def call(job: Job) -> Outcome:
        seen.append(job)
        return outcomes[len(seen) - 1]

    def waits_long() -> bool:
        (left,) = listing.about(database, ["order"])
        in_time = datetime.now(UTC) + timedelta(minutes=9)
        return left.state == "waiting" and left.due_at is not None and left.due_at > in_time

    with running(job_queue(call, max_attempts=2), database, metrics):
        eventually(lambda: len(seen) == 3)
        eventually(waits_long)
    assert (seen[1].failed_calls, seen[2].failed_calls) == (1, 0)
    assert seen[2].payload["key"] == "b"
    labels = {"queue": "calls", "outcome": "waiting"}
    assert metrics.registry.get_sample_value("oms_job_calls_total", labels) == 2.0


def test_a_job_that_never_succeeds_is_given_up(database: Database, metrics: Metrics) -> None:
    put(database, "a")
    with running(job_queue(lambda _: Retry("busy"), max_attempts=3), database, metrics):
        eventually(lambda: seen(database))
    assert seen(database) == {"a given up": 1}
    assert claim(database) == []


def test_a_job_without_a_limit_is_kept_however_many_attempts_it_takes(database: Database, metrics: Metrics) -> None:
    put(database, "a")
    database.execute("UPDATE job SET attempts = 1000")
    calls: list[int] = []

    def call(job: Job) -> Outcome:
        calls.append(job.attempts)
        return Retry("busy")

    with running(job_queue(call, max_attempts=None), database, metrics):
        eventually(lambda: 1001 in calls)
    assert not is_empty(database)
    assert seen(database) == {}


def test_a_call_to_be_repeated_is_logged_with_its_reason(database: Database, metrics: Metrics) -> None:
    def call(job: Job) -> Outcome:
        if job.attempts == 1:
            return Retry("smtp: 451 about the mail")
        if job.attempts == 2:
            raise ConnectionError("what a customer said")
        return Done()

    put(database, "a")
    with structlog.testing.capture_logs() as logs, running(job_queue(call), database, metrics):
        eventually(lambda: is_empty(database))
    assert [(line["queue"], line["attempts"], line["reason"]) for line in logs if line["event"] == "call_retried"] == [
        ("calls", 1, "smtp: 451 about the mail"),
        ("calls", 2, "ConnectionError"),
    ]


def test_a_call_that_takes_too_long_is_reported_once(database: Database, metrics: Metrics) -> None:
    release = threading.Event()

    def call(_: Job) -> Done:
        release.wait(30)
        return Done()

    def oldest() -> float:
        return metrics.registry.get_sample_value("oms_job_call_oldest_seconds", {"queue": "calls"}) or 0.0

    put(database, "a")
    with structlog.testing.capture_logs() as logs, running(job_queue(call, call_seconds=0.5), database, metrics):
        eventually(lambda: oldest() > 1.0)
        release.set()
        eventually(lambda: is_empty(database) and oldest() == 0.0)
    assert [line["queue"] for line in logs if line["event"] == "call_overdue"] == ["calls"]


def test_the_backoff_grows_and_is_capped() -> None:
    assert 0.005 <= leases.backoff(1) <= 0.01
    assert 30.0 <= leases.backoff(1000) <= 60.0
