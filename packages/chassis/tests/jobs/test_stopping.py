"""A stopping worker settles the calls that are under way, and gives other jobs back."""

import threading

import pytest
from sqlalchemy.exc import OperationalError
from support.chassis import eventually
from support.jobs import claim, job_queue, put, running
from support.seen import seen

from oms_chassis.db import Database, Transaction
from oms_chassis.jobs import leases, worker
from oms_chassis.jobs.queue import Done, Job, Outcome, Paused
from oms_chassis.telemetry.metrics import Metrics


def test_a_stopping_worker_keeps_the_jobs_whose_calls_are_under_way(database: Database, metrics: Metrics) -> None:
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


def test_a_job_that_was_given_back_is_another_workers_even_if_the_answer_was_lost(
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
