"""The circuit breaker: a failure of the provider pauses its queue, and no other."""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import structlog.testing
from support import chassis
from support.chassis import eventually

from oms_chassis.db import Database
from oms_chassis.jobs import leases
from oms_chassis.jobs.breaker import LONGEST, CircuitBreaker
from oms_chassis.jobs.queue import (
    Done,
    Job,
    JobQueue,
    NewJob,
    Outcome,
    Paused,
    Retry,
    Unanswered,
    Unavailable,
    enqueue,
)
from oms_chassis.jobs.worker import Worker
from oms_chassis.telemetry.metrics import Metrics

AWAY = Paused("smtp: ConnectionRefusedError")


class Clock:
    """A clock that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(metrics: Metrics, clock: Clock) -> CircuitBreaker:
    return CircuitBreaker("calls", metrics, clock)


def job(name: str) -> Job:
    return Job("calls", name, "order", {}, None, 1)


def is_paused(metrics: Metrics) -> bool:
    return metrics.registry.get_sample_value("oms_job_queue_paused", {"queue": "calls"}) == 1.0


def test_a_queue_that_works_is_not_held_up(breaker: CircuitBreaker, metrics: Metrics) -> None:
    for outcome in (Done(), Retry("smtp: 451"), Unavailable("sms: 500"), Done()):
        breaker.record(job("a"), outcome)
    assert breaker.room(32, [job("b")]) == 32
    assert not is_paused(metrics)


def test_a_pause_lasts_for_as_long_as_the_provider_asks(
    breaker: CircuitBreaker, clock: Clock, metrics: Metrics
) -> None:
    breaker.record(job("a"), Paused("sms: 429", 30.0))
    assert is_paused(metrics)
    clock.now += 29.0
    assert breaker.room(32, []) == 0
    clock.now += 1.0
    assert breaker.room(32, []) == 1


def test_a_provider_that_asks_for_no_pause_and_accepts_no_call_is_not_called_all_the_time(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    breaker.record(job("a"), Paused("sms: 429", 0.0))
    assert breaker.room(32, []) == 0
    clock.now += 0.5
    assert breaker.room(32, []) == 1


def test_no_provider_pauses_a_queue_for_days(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.record(job("a"), Paused("sms: 429", 1e9))
    clock.now += LONGEST
    assert breaker.room(32, []) == 1


def test_one_probe_at_a_time_decides_whether_the_pause_is_over(
    breaker: CircuitBreaker, clock: Clock, metrics: Metrics
) -> None:
    breaker.record(job("a"), Paused("sms: 429", 1.0))
    clock.now += 1.0
    breaker.begin(job("probe"))
    assert breaker.room(32, [job("probe")]) == 0
    breaker.record(job("late"), Done())  # it was under way when the pause began
    assert is_paused(metrics)
    breaker.record(job("probe"), Retry("smtp: 451"))  # the provider answers again
    assert breaker.room(32, []) == 32
    assert not is_paused(metrics)


def test_a_call_that_has_hung_since_before_the_pause_does_not_prevent_a_probe(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    breaker.record(job("a"), Paused("sms: 429", 1.0))
    clock.now += 1.0
    assert breaker.room(32, [job("hanging")]) == 1


def test_pauses_grow_while_probes_fail(breaker: CircuitBreaker, clock: Clock) -> None:
    lengths = []
    for _ in range(10):
        breaker.begin(job("probe"))
        breaker.record(job("probe"), AWAY)
        began = clock.now
        while not breaker.room(32, []):
            clock.now += 0.25
        lengths.append(clock.now - began)
    assert lengths[0] <= 1.0
    assert lengths[-1] >= 30.0


def test_several_jobs_in_a_row_that_are_not_served_pause_the_queue(breaker: CircuitBreaker, metrics: Metrics) -> None:
    for _ in range(10):
        breaker.record(job("a"), Unavailable("away"))  # it may be this one's fault
    breaker.record(job("b"), Unavailable("away"))
    assert not is_paused(metrics)
    breaker.record(job("c"), Unavailable("away"))
    assert is_paused(metrics)


def test_a_job_that_ends_without_an_answer_does_not_speak_for_the_provider(
    breaker: CircuitBreaker, clock: Clock, metrics: Metrics
) -> None:
    for name in ("a", "b", "c"):
        breaker.record(job(name), Unanswered(reason="no answer"))
    assert is_paused(metrics)
    clock.now += 60.0
    breaker.begin(job("probe"))
    breaker.record(job("probe"), Unanswered(reason="no answer"))
    assert is_paused(metrics)


def test_a_job_that_is_served_in_between_speaks_for_the_provider(breaker: CircuitBreaker, metrics: Metrics) -> None:
    for name in ("a", "b", "c", "d"):
        breaker.record(job(name), Unavailable("away"))
        breaker.record(job(f"{name}2"), Done())
    assert not is_paused(metrics)


def test_a_pause_and_its_end_are_logged_with_the_reason_and_once(breaker: CircuitBreaker, clock: Clock) -> None:
    with structlog.testing.capture_logs() as logs:
        for name in ("a", "b", "c"):
            breaker.record(job(name), AWAY)
        clock.now += 60.0
        breaker.begin(job("probe"))
        breaker.record(job("probe"), Done())
    assert [(line["event"], line["queue"], line.get("reason")) for line in logs] == [
        ("queue_paused", "calls", "smtp: ConnectionRefusedError"),
        ("queue_resumed", "calls", None),
    ]


def running(call: Callable[[Job], Outcome], database: Database, metrics: Metrics) -> AbstractContextManager[None]:
    def never(*_: object) -> None:
        raise AssertionError

    queue = JobQueue("calls", call, lambda *_: None, never, max_attempts=1)
    return chassis.running(Worker(queue, database, metrics))


def put(database: Database, count: int) -> None:
    with database.transaction() as transaction:
        enqueue(transaction, "calls", [NewJob(f"job-{number}", "order", {}) for number in range(count)])


def test_a_providers_failure_counts_against_no_job_and_few_jobs_meet_it(database: Database, metrics: Metrics) -> None:
    called: Counter[str] = Counter()
    away = threading.Event()
    away.set()

    def call(job: Job) -> Outcome:
        called[job.id] += 1
        return Paused("away", 0.5) if away.is_set() else Done()

    put(database, 200)
    with running(call, database, metrics):
        eventually(lambda: is_paused(metrics))
        eventually(lambda: database.execute("SELECT 1 FROM job WHERE last_error = 'away'"))
        assert not database.execute("SELECT 1 FROM job WHERE failed_calls > 0 OR failing_since IS NOT NULL")
        assert len(called) <= 64, "what was claimed when the pause began, and no more"
        away.clear()
        eventually(lambda: not database.execute("SELECT 1 FROM job"), 30)
        assert not is_paused(metrics)


def test_a_paused_worker_stops_at_once(database: Database, metrics: Metrics) -> None:
    put(database, 50)
    with running(lambda _: Paused("away", 600.0), database, metrics):
        eventually(lambda: is_paused(metrics))


def test_a_job_that_the_provider_fails_at_each_time_is_not_the_next_probe(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "BACKOFF_BASE", 0.05)
    put(database, 20)

    def call(job: Job) -> Outcome:
        return Paused("sms: 403") if job.id == "job-0" else Done()

    with running(call, database, metrics):
        eventually(lambda: [row.id for row in database.execute("SELECT id FROM job")] == ["job-0"], 30)
