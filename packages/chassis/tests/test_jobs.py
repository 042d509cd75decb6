"""Jobs: leases, fences, retries."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog.testing
from sqlalchemy.exc import OperationalError, ProgrammingError
from support.chassis import dead_jobs, eventually

from oms_chassis import pacing
from oms_chassis.db import Database, Transaction
from oms_chassis.jobs import dead, leases, listing, settling, worker
from oms_chassis.jobs import queue as jobs
from oms_chassis.jobs.queue import Done, Job, JobQueue, NewJob, Outcome, Paused, Retry, Settled, Waiting, enqueue
from oms_chassis.jobs.worker import Worker
from oms_chassis.sessions import Limits
from oms_chassis.telemetry.metrics import Metrics

_SEE = """
INSERT INTO seen (item) SELECT item FROM json_to_recordset(%(rows)s::json) AS r(item text)
ON CONFLICT (item) DO UPDATE SET times = seen.times + 1
"""


def settle(transaction: Transaction, settled: list[Settled]) -> None:
    transaction.run_rows(_SEE, [{"item": job.id} for job, _ in settled])


def give_up(transaction: Transaction, given_up: list[Job]) -> None:
    transaction.run_rows(_SEE, [{"item": f"{job.id} given up"} for job in given_up])


def job_queue(call: Callable[[Job], Outcome], **more: Any) -> JobQueue:
    return JobQueue("calls", call, **{"settle": settle, "give_up": give_up, **more})


def put(database: Database, *ids: str) -> None:
    with database.transaction() as transaction:
        enqueue(transaction, "calls", [NewJob(one, "order", {"n": 1}) for one in ids])


def claim(database: Database, lease: float = 60.0) -> list[Job]:
    with database.transaction() as transaction:
        return jobs.claim(transaction, "calls", 10, lease)


def seen(database: Database) -> dict[str, int]:
    return {row.item: row.times for row in database.execute("SELECT item, times FROM seen")}


def is_empty(database: Database) -> bool:
    return not database.execute("SELECT 1 FROM job")


@contextmanager
def running(job_queue: JobQueue, database: Database, metrics: Metrics) -> Iterator[None]:
    worker = Worker(job_queue, database, metrics)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "BACKOFF_BASE", 0.01)


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


def test_a_job_that_comes_after_a_quiet_time_is_settled_as_soon_as_its_call_ends(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "SHORTEST", 60.0)
    monkeypatch.setattr(pacing, "LONGEST", 60.0)
    with running(job_queue(lambda _: Done()), database, metrics):
        put(database, "job")
        eventually(lambda: is_empty(database))


def test_work_that_is_there_waits_for_no_look_however_much_it_is(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "SOON", 600.0)
    monkeypatch.setattr(worker, "IDLE", 600.0)
    put(database, *(f"job-{number}" for number in range(100)))
    with running(job_queue(lambda _: Done(), concurrency=2, lease_seconds=9000.0), database, metrics):
        eventually(lambda: is_empty(database))
        put(database, "one more")
        eventually(lambda: is_empty(database))


def test_a_job_of_another_worker_is_taken_when_its_lease_has_run_out(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "IDLE", 600.0)
    put(database, "left")
    claim(database, lease=0.5)
    with running(job_queue(lambda _: Done(), lease_seconds=9000.0), database, metrics):
        eventually(lambda: is_empty(database))


def test_what_is_never_due_is_not_waited_for(database: Database) -> None:
    assert jobs.due_in(database, "calls") == float("inf")
    put(database, "dead")
    database.execute("UPDATE job SET run_at = 'infinity'")
    assert jobs.due_in(database, "calls") == float("inf")
    put(database, "due")
    assert jobs.due_in(database, "calls") <= 0.0
    claim(database, lease=60.0)
    assert 0.0 < jobs.due_in(database, "calls") <= 60.0


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


def test_a_schema_that_does_not_fit_is_said_once(
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


def test_a_second_job_of_the_same_id_is_ignored(database: Database) -> None:
    put(database, "a")
    put(database, "a", "b")
    assert {job.id for job in claim(database)} == {"a", "b"}


def test_a_failed_call_is_made_again_and_says_so(database: Database, metrics: Metrics) -> None:
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


def test_a_database_that_is_away_is_said_once(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[None] = []
    monkeypatch.setattr(worker, "beat", lambda: looks.append(None))
    nowhere = Database("postgresql://nobody@127.0.0.1:1/none", 4)
    with structlog.testing.capture_logs() as logged, running(job_queue(lambda _: Done()), nowhere, metrics):
        eventually(lambda: len(looks) > 3)
    assert [one["event"] for one in logged] == ["database_unavailable"]


class Panic(BaseException):
    """What a library's Rust code raises: no Exception."""


def test_a_call_that_panics_is_made_again(database: Database, metrics: Metrics) -> None:
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


def test_a_call_leaves_word_for_the_next_one(database: Database, metrics: Metrics) -> None:
    payloads = []

    def call(job: Job) -> Outcome:
        payloads.append(job.payload)
        return Retry("busy", {"seen": len(payloads)}) if len(payloads) < 3 else Done()

    put(database, "a")
    with running(job_queue(call), database, metrics):
        eventually(lambda: is_empty(database))
    assert payloads == [{"n": 1}, {"n": 1, "seen": 1}, {"n": 1, "seen": 2}]


def test_a_call_that_the_provider_has_not_come_to_an_end_with_is_asked_about_later_and_has_not_failed(
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


def test_a_job_without_a_limit_is_kept_whatever_its_attempts(database: Database, metrics: Metrics) -> None:
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


def test_a_worker_that_stops_keeps_the_jobs_whose_calls_are_under_way(database: Database, metrics: Metrics) -> None:
    started, release = threading.Event(), threading.Event()
    taken_by_others: list[Job] = []

    def call(_: Job) -> Done:
        started.set()
        release.wait(10)
        return Done()

    def look() -> None:
        taken_by_others.extend(claim(database))
        release.set()

    put(database, "a")
    with running(job_queue(call, lease_seconds=2.0), database, metrics):
        assert started.wait(5)
        threading.Timer(5.0, look).start()
    assert taken_by_others == []
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


def test_a_call_that_is_to_be_made_again_is_logged_with_its_reason(database: Database, metrics: Metrics) -> None:
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


def test_a_worker_that_was_too_slow_settles_nothing(database: Database) -> None:
    put(database, "a")
    (slow,) = claim(database, lease=0.0)
    (other,) = claim(database)
    with database.transaction() as transaction:
        assert leases.finish(transaction, "calls", [slow]) == set()
        leases.postpone(transaction, "calls", [(slow, Retry("late"))])
        assert leases.finish(transaction, "calls", [other]) == {"a"}


def test_an_outcome_that_cannot_be_written_does_not_hold_up_the_others(database: Database, metrics: Metrics) -> None:
    broken = threading.Event()
    broken.set()

    def picky(transaction: Transaction, settled: list[Settled]) -> None:
        if broken.is_set() and any(job.id == "bad" for job, _ in settled):
            raise LookupError
        settle(transaction, settled)

    put(database, "a", "bad", "b")
    with running(job_queue(lambda _: Done(), settle=picky), database, metrics):
        eventually(lambda: seen(database) == {"a": 1, "b": 1})
        broken.clear()
        eventually(lambda: seen(database) == {"a": 1, "b": 1, "bad": 1})


@pytest.mark.parametrize("code", ["57014", "55P03"], ids=["too much", "locked"])
@pytest.mark.parametrize("most", [5, 1], ids=["in parts", "all but one"])
def test_outcomes_that_are_too_many_or_of_which_one_is_held_are_settled_in_parts(
    database: Database, metrics: Metrics, code: str, most: int
) -> None:
    is_held, called = threading.Event(), Counter[str]()
    is_held.set()

    def call(job: Job) -> Done:
        called[job.id] += 1
        return Done()

    def strained(transaction: Transaction, settled: list[Settled]) -> None:
        if (most > 1 and len(settled) > most) or (most == 1 and is_held.is_set() and "job-3" in ids_of(settled)):
            transaction.run(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$")
        settle(transaction, settled)

    ids = [f"job-{number}" for number in range(20)]
    put(database, *ids)
    with running(job_queue(call, settle=strained), database, metrics):
        eventually(lambda: len(seen(database)) >= (20 if most > 1 else 19))
        failures = metrics.registry.get_sample_value("oms_job_settle_failures_total", {"queue": "calls"})
        assert (failures == 0.0) is (most > 1)
        is_held.clear()
        eventually(lambda: is_empty(database))
    assert seen(database) == dict.fromkeys(ids, 1)
    assert called == Counter(ids)


def ids_of(settled: list[Settled]) -> set[str]:
    return {job.id for job, _ in settled}


@contextmanager
def held(database: Database, job_id: str) -> Iterator[None]:
    """Somebody has a job's row locked during the block."""
    with database.transaction() as transaction:
        transaction.run("SELECT 1 FROM job WHERE id = %(id)s FOR UPDATE", id=job_id)
        yield


@pytest.fixture
def hasty(database: Database) -> Iterator[Database]:
    """The database for whom waits for no lock."""
    url = database._url
    hasty = Database(url, 6, Limits(lock=0.2))
    yield hasty
    hasty.dispose()


def test_a_job_that_somebody_holds_keeps_no_other_from_being_settled(
    database: Database, hasty: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RENEWED", 0.05)
    called: Counter[str] = Counter()
    is_held = threading.Event()

    def call(job: Job) -> Done:
        called[job.id] += 1
        assert job.id != "held" or is_held.wait(10)
        return Done()

    put(database, "held")
    with running(job_queue(call), hasty, metrics):
        eventually(lambda: called["held"])
        with held(database, "held"):
            is_held.set()
            ids = [f"job-{number}" for number in range(40)]
            for one in ids:
                put(hasty, one)
                time.sleep(0.02)  # so that its lease is renewed in between
            eventually(lambda: seen(database) == dict.fromkeys(ids, 1))
        eventually(lambda: is_empty(database))
    assert called == Counter(["held", *ids])


@pytest.mark.parametrize("others", [[], ["a", "b"]], ids=["alone", "with others"])
def test_an_outcome_that_can_neither_be_written_nor_kept_is_not_lost(
    database: Database, hasty: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch, others: list[str]
) -> None:
    called: Counter[str] = Counter()
    is_held, in_vain, is_over = (threading.Event() for _ in range(3))
    holding = threading.Thread(target=lambda: _hold(database, "bad", is_held, is_over))

    def call(job: Job) -> Done:
        called[job.id] += 1
        return Done()

    def picky(transaction: Transaction, settled: list[Settled]) -> None:
        if ids_of(settled) == {"bad"} and not holding.ident:
            holding.start()
            eventually(lambda: database.execute("SELECT 1 FROM pg_locks WHERE NOT granted"))
        if "bad" in ids_of(settled) and not is_over.is_set():
            raise LookupError
        settle(transaction, settled)

    def keep(*args: Any) -> None:
        assert is_held.wait(10)  # a row that is free again is whoever's comes first
        try:
            leases.keep_outcome(*args)
        except OperationalError:
            in_vain.set()
            raise

    monkeypatch.setattr(settling, "keep_outcome", keep)
    put(database, "bad", *others)
    with running(job_queue(call, settle=picky, lease_seconds=1.0), hasty, metrics):
        assert in_vain.wait(10)
        eventually(lambda: seen(database) == dict.fromkeys(others, 1))
        is_over.set()
        eventually(lambda: is_empty(database))
    holding.join(10)
    assert called == Counter(["bad", *others])
    assert seen(database) == dict.fromkeys(["bad", *others], 1)


def _hold(database: Database, job_id: str, is_held: threading.Event, is_over: threading.Event) -> None:
    with held(database, job_id):
        is_held.set()
        is_over.wait(10)


def test_a_failed_call_counts_once_though_the_answer_to_its_settling_was_lost(database: Database) -> None:
    put(database, "a")
    (job,) = claim(database)
    for _ in range(2):
        with database.transaction() as transaction:
            leases.postpone(transaction, "calls", [(job, Retry("no answer"))])
    assert database.execute("SELECT failed_calls FROM job")[0].failed_calls == 1


def test_a_call_whose_outcome_cannot_be_written_is_not_made_again(database: Database, metrics: Metrics) -> None:
    called: list[str] = []
    results: list[object] = []

    def call(job: Job) -> Done:
        called.append(job.id)
        return Done({"provider_id": "p-1"})

    def broken(_: Transaction, settled: list[Settled]) -> None:
        results.extend(result for _, result in settled)
        if len(results) < 4:
            raise LookupError

    put(database, "a")
    with running(job_queue(call, settle=broken), database, metrics):
        eventually(lambda: is_empty(database))
    assert called == ["a"]
    assert results == [{"provider_id": "p-1"}] * 4
    assert metrics.registry.get_sample_value("oms_job_settle_failures_total", {"queue": "calls"}) == 3.0


def test_an_outcome_that_was_kept_is_settled_by_the_next_worker(database: Database, metrics: Metrics) -> None:
    def broken(*_: object) -> None:
        raise LookupError

    def uncalled(_: Job) -> Done:
        raise AssertionError

    put(database, "a")
    with running(job_queue(lambda _: Done(), settle=broken), database, metrics):
        eventually(lambda: database.execute("SELECT 1 FROM job WHERE outcome IS NOT NULL"))
    with running(job_queue(uncalled), database, metrics):
        eventually(lambda: is_empty(database))
    assert seen(database) == {"a": 1}


def test_an_outcome_that_can_never_be_written_ends_as_a_dead_job_that_a_redrive_only_settles(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oms_chassis.jobs.settling.SETTLE_ATTEMPTS", 3)
    called: list[str] = []
    repaired = threading.Event()

    def call(job: Job) -> Done:
        called.append(job.id)
        return Done()

    def broken(transaction: Transaction, settled: list[Settled]) -> None:
        if not repaired.is_set():
            raise LookupError
        settle(transaction, settled)

    put(database, "a")
    queue = job_queue(call, settle=broken)
    with running(queue, database, metrics):
        eventually(lambda: dead_jobs(database, "calls"))
        repaired.set()
        with database.transaction() as transaction:
            dead.redrive(transaction, queue, ["a"])
        eventually(lambda: is_empty(database))
    assert called == ["a"]
    assert seen(database) == {"a": 1}


def test_an_outcome_that_no_column_can_hold_is_neither_repeated_nor_in_the_way(
    database: Database, metrics: Metrics
) -> None:
    called: list[str] = []

    def call(job: Job) -> Done:
        called.append(job.id)
        return Done({"provider_id": "\0" if job.id == "bad" else ""})

    def picky(transaction: Transaction, settled: list[Settled]) -> None:
        transaction.run_rows(
            "SELECT * FROM json_to_recordset(%(rows)s::json) AS r(provider_id text)",
            [dict(result) for _, result in settled],
        )
        settle(transaction, settled)

    put(database, "a", "bad")
    with running(job_queue(call, settle=picky), database, metrics):
        eventually(lambda: seen(database) == {"a": 1})
        eventually(lambda: [one.id for one in dead_jobs(database, "calls")] == ["bad"])
    assert sorted(called) == ["a", "bad"]


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


def test_stopping_waits_for_calls_under_way_and_settles_them(database: Database, metrics: Metrics) -> None:
    started, release = threading.Event(), threading.Event()

    def call(_: Job) -> Done:
        started.set()
        release.wait(5)
        return Done()

    put(database, "a")
    with running(job_queue(call), database, metrics):
        assert started.wait(5)
        threading.Timer(0.1, release.set).start()
    assert seen(database) == {"a": 1}


def test_stopping_gives_back_the_jobs_whose_calls_have_not_begun(database: Database, metrics: Metrics) -> None:
    called: list[str] = []
    started, release = threading.Event(), threading.Event()

    def call(job: Job) -> Done:
        called.append(job.id)
        started.set()
        release.wait(5)
        return Done()

    put(database, "a", "b", "c", "d")
    with running(job_queue(call, concurrency=1), database, metrics):
        assert started.wait(5)
        threading.Timer(0.2, release.set).start()
    assert seen(database) == dict.fromkeys(called, 1)
    assert len(called) == 1
    given_back = claim(database)
    assert [(job.attempts, job.failed_calls) for job in given_back] == [(1, 0)] * 3


def test_a_job_that_was_given_back_is_another_workers_though_the_answer_to_that_was_lost(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back, others = threading.Event(), list[Job]()

    def call(job: Job) -> Outcome:
        if not calls:
            calls.append(job.id)
            return Paused("away", 60.0)
        calls.append(job.id)
        given_back.wait(30)
        return Done()

    def give_back(transaction: Transaction, queue: str, unbegun: list[Job]) -> None:
        leases.give_back(transaction, queue, unbegun)
        if not others:
            ids = {job.id for job in unbegun}
            others.extend(job for job in claim(database) if job.id in ids)
            given_back.set()
            raise OperationalError("UPDATE job", {}, Exception("the answer is lost"))

    calls = list[str]()
    monkeypatch.setattr(worker, "give_back", give_back)
    put(database, "a", "b", "c")
    with running(job_queue(call, concurrency=1), database, metrics):
        eventually(lambda: seen(database))
        with database.transaction() as transaction:
            assert leases.finish(transaction, "calls", others) == {job.id for job in others}
    assert len(others) == 1
    assert not {job.id for job in others} & set(calls)


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


@pytest.mark.parametrize("state", ["due", "postponed", "leased to a worker that died"])
def test_a_job_is_due_when_the_clock_was_put_back(database: Database, metrics: Metrics, state: str) -> None:
    put(database, "job")
    if state != "due":
        claimed = claim(database)
        with database.transaction() as transaction:
            leases.postpone(transaction, "calls", [(job, Retry("why")) for job in claimed if state == "postponed"])
    put_back(database)
    with running(job_queue(lambda _: Done(), lease_seconds=0.3), database, metrics):
        eventually(lambda: is_empty(database))


def test_a_job_that_nobody_has_had_is_due_soon_when_the_clock_was_put_back(
    database: Database, metrics: Metrics
) -> None:
    put(database, "job")
    put_back(database)
    with running(job_queue(lambda _: Done(), lease_seconds=300.0), database, metrics):
        eventually(lambda: is_empty(database))


def test_a_call_that_is_under_way_when_the_clock_is_put_back_is_made_once(database: Database, metrics: Metrics) -> None:
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


def test_calls_have_not_failed_for_less_than_no_time_when_the_clock_was_put_back(database: Database) -> None:
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
    """What is there as it looks when the clock was put back by some hours."""
    database.execute(
        "UPDATE job SET run_at = run_at + interval '3 hours', failing_since = failing_since + interval '3 hours'"
    )


def is_soon(database: Database) -> bool:
    return not database.execute("SELECT 1 FROM job WHERE run_at > now() + interval '1 hour'")


def test_the_backoff_grows_and_is_capped() -> None:
    assert 0.005 <= leases.backoff(1) <= 0.01
    assert 30.0 <= leases.backoff(1000) <= 60.0
