"""Outcomes that cannot be written, or not all at once."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from support.chassis import dead_jobs, eventually
from support.jobs import claim, is_empty, job_queue, put, running, settle
from support.seen import seen

from oms_chassis.db import Database, Transaction
from oms_chassis.jobs import dead, leases, settling, worker
from oms_chassis.jobs.queue import Done, Job, Retry, Settled
from oms_chassis.sessions import Limits
from oms_chassis.telemetry.metrics import Metrics


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
def test_outcomes_that_are_too_many_or_need_a_locked_row_are_settled_in_parts(
    database: Database, metrics: Metrics, code: str, most: int
) -> None:
    is_held, called = threading.Event(), Counter[str]()
    is_held.set()

    def call(job: Job) -> Done:
        called[job.id] += 1
        return Done()

    def strained(transaction: Transaction, settled: list[Settled]) -> None:
        if (most > 1 and len(settled) > most) or (most == 1 and is_held.is_set() and "job-3" in ids_of(settled)):
            transaction.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$")
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
    """Lock a job's row during a block."""
    with database.transaction() as transaction:
        transaction.execute("SELECT 1 FROM job WHERE id = %(id)s FOR UPDATE", id=job_id)
        yield


@pytest.fixture
def hasty(database: Database) -> Iterator[Database]:
    """The database with a short limit for locks."""
    url = database._url
    hasty = Database(url, 6, Limits(lock=0.2))
    yield hasty
    hasty.dispose()


def test_a_locked_job_keeps_no_other_from_being_settled(
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
def test_an_outcome_that_can_be_neither_written_nor_kept_is_not_lost(
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


def test_a_failed_call_counts_once_even_if_the_answer_to_its_settling_was_lost(database: Database) -> None:
    put(database, "a")
    (job,) = claim(database)
    for _ in range(2):
        with database.transaction() as transaction:
            leases.postpone(transaction, "calls", [(job, Retry("no answer"))])
    assert database.execute("SELECT failed_calls FROM job")[0].failed_calls == 1


def test_a_call_whose_outcome_cannot_be_written_is_not_repeated(database: Database, metrics: Metrics) -> None:
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


def test_an_outcome_that_no_column_can_store_is_neither_repeated_nor_in_the_way(
    database: Database, metrics: Metrics
) -> None:
    called: list[str] = []

    def call(job: Job) -> Done:
        called.append(job.id)
        return Done({"provider_id": "\0" if job.id == "bad" else ""})

    def picky(transaction: Transaction, settled: list[Settled]) -> None:
        transaction.execute_rows(
            "SELECT * FROM json_to_recordset(%(rows)s::json) AS r(provider_id text)",
            [dict(result) for _, result in settled],
        )
        settle(transaction, settled)

    put(database, "a", "bad")
    with running(job_queue(call, settle=picky), database, metrics):
        eventually(lambda: seen(database) == {"a": 1})
        eventually(lambda: [one.id for one in dead_jobs(database, "calls")] == ["bad"])
    assert sorted(called) == ["a", "bad"]
