"""Jobs that are enqueued while this process's worker has room are claimed as they are written, and handed to it."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.exc import IntegrityError
from support.chassis import dead_jobs, eventually, running
from support.jobs import is_empty, put
from support.statements import Statement, statements

from oms_chassis.db import Database, Transaction
from oms_chassis.handoff import Handoff
from oms_chassis.jobs import dead, worker
from oms_chassis.jobs.queue import Done, Job, JobQueue, NewJob, Outcome, Paused, enqueue, withdraw
from oms_chassis.jobs.worker import Worker
from oms_chassis.telemetry.metrics import Metrics

WITHIN = 30.0  # seconds


class Provider:
    """A provider that answers when it is allowed to, and records its calls."""

    def __init__(self) -> None:
        self.asked: list[Job] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.outcome: Outcome = Done()

    def call(self, job: Job) -> Outcome:
        self.asked.append(job)
        assert self.may_answer.wait(WITHIN)
        return self.outcome

    def ids(self) -> list[str]:
        return [job.id for job in self.asked]


@pytest.fixture
def provider() -> Provider:
    return Provider()


def worker_of(provider: Provider, database: Database, metrics: Metrics, lease: float = 60.0) -> Worker:
    queue = JobQueue("calls", provider.call, lambda *_: None, concurrency=1, lease_seconds=lease)
    return Worker(queue, database, metrics)


def put_into(transaction: Transaction, *ids: str) -> None:
    enqueue(transaction, "calls", [NewJob(one, "order", {}) for one in ids])


def put_in_vain(database: Database, job_id: str) -> None:
    with database.transaction() as transaction:
        enqueue(transaction, "calls", [NewJob(job_id, "order", {})])
        raise ZeroDivisionError


def put_and_report_in_vain(database: Database, job_id: str) -> None:
    with database.transaction() as transaction:
        transaction.after_commit(lambda: 1 / 0)
        put_into(transaction, job_id)


def attempts(database: Database) -> dict[str, int]:
    return {row.id: row.attempts for row in database.execute("SELECT id, attempts FROM job")}


def room(database: Database) -> int:
    return database.signals.handoffs["calls"].room


def claims(asked: Sequence[Statement]) -> int:
    return sum("SKIP LOCKED" in one.sql for one in asked)


def test_a_handed_over_job_is_not_queried_for(
    provider: Provider, database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "SOON", 600.0)
    with statements(database) as asked, running(worker_of(provider, database, metrics, lease=9000.0)):
        eventually(lambda: room(database))
        looked = claims(asked)
        for number in range(3):
            put(database, f"job-{number}")
            eventually(lambda: is_empty(database))
    assert claims(asked) == looked
    assert provider.asked == [Job("calls", f"job-{number}", "order", {"n": 1}, None, 1) for number in range(3)]


def test_a_job_that_is_rolled_back_is_not_called(provider: Provider, database: Database, metrics: Metrics) -> None:
    with running(worker_of(provider, database, metrics)):
        eventually(lambda: room(database))
        with pytest.raises(ZeroDivisionError):
            put_in_vain(database, "never")
        put(database, "after it")
        eventually(lambda: is_empty(database))
    assert provider.ids() == ["after it"]


def test_a_job_that_is_enqueued_twice_is_called_once(provider: Provider, database: Database, metrics: Metrics) -> None:
    with running(worker_of(provider, database, metrics)):
        eventually(lambda: room(database) >= 4)
        provider.may_answer.clear()
        put(database, "a", "a")
        put(database, "a", "b")
        provider.may_answer.set()
        eventually(lambda: is_empty(database))
    assert sorted(provider.ids()) == ["a", "b"]


def test_a_job_for_which_there_is_no_room_waits_until_it_is_claimed(
    provider: Provider, database: Database, metrics: Metrics
) -> None:
    ids = [f"job-{number:02}" for number in range(20)]
    with running(worker_of(provider, database, metrics)):
        free = eventually(lambda: room(database))
        provider.may_answer.clear()
        put(database, *ids)
        assert sum(attempts(database).values()) == free < len(ids)
        provider.may_answer.set()
        eventually(lambda: is_empty(database))
    assert sorted(provider.ids()) == ids


def test_jobs_that_wait_already_go_first(provider: Provider, database: Database, metrics: Metrics) -> None:
    provider.may_answer.clear()
    put(database, *(f"old-{number}" for number in range(20)))
    with running(worker_of(provider, database, metrics)):
        eventually(lambda: provider.asked)
        assert room(database) == 0
        put(database, "new")
        assert attempts(database)["new"] == 0
        provider.may_answer.set()
        eventually(lambda: is_empty(database))
    assert provider.ids()[-1] == "new"


def test_a_paused_queue_is_handed_nothing(provider: Provider, database: Database, metrics: Metrics) -> None:
    provider.outcome = Paused("away", 3600.0)
    with running(worker_of(provider, database, metrics)):
        eventually(lambda: room(database))
        put(database, "met it")
        eventually(lambda: provider.asked and not room(database))
        put(database, "later")
        assert attempts(database)["later"] == 0
    assert provider.ids() == ["met it"]


def test_a_worker_that_ends_gives_back_what_it_was_handed(
    provider: Provider, database: Database, metrics: Metrics
) -> None:
    ending = worker_of(provider, database, metrics)
    database.signals.handoffs["calls"].offer(4)
    put(database, "a", "b")
    assert attempts(database) == {"a": 1, "b": 1}
    ending.stop()
    ending.run()
    assert attempts(database) == {"a": 0, "b": 0}
    assert provider.asked == []


def test_a_job_that_its_worker_did_not_begin_is_another_workers_once_its_lease_has_ended(
    provider: Provider, database: Database, metrics: Metrics
) -> None:
    worker_of(provider, database, metrics, lease=0.2)  # which never runs, as after a crash
    database.signals.handoffs["calls"].offer(4)
    put(database, "left")
    with running(worker_of(provider, database, metrics)):
        eventually(lambda: is_empty(database))
    assert [(job.id, job.attempts) for job in provider.asked] == [("left", 2)]


def test_a_worker_whose_tables_do_not_fit_is_handed_nothing(
    provider: Provider, database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "FAULT_PAUSE", 0.05)
    with running(worker_of(provider, database, metrics, lease=9000.0)):
        eventually(lambda: room(database))
        database.execute("ALTER TABLE job RENAME TO gone")
        eventually(lambda: room(database) == 0)
        database.execute("ALTER TABLE gone RENAME TO job")
        put(database, "after it")
        eventually(lambda: is_empty(database))
    assert provider.ids() == ["after it"]


def test_a_job_given_up_by_the_transaction_that_enqueued_it_is_not_called(
    provider: Provider, database: Database, metrics: Metrics
) -> None:
    with running(worker_of(provider, database, metrics)):
        eventually(lambda: room(database) >= 2)
        with database.transaction() as transaction:
            put_into(transaction, "held", "sent")
            dead.shelve(transaction, "calls", {"held": "over a limit"})
        eventually(lambda: list(attempts(database)) == ["held"])
    assert provider.ids() == ["sent"]
    assert [(one.id, one.last_error) for one in dead_jobs(database, "calls")] == [("held", "over a limit")]
    assert attempts(database) == {"held": 0}


def test_a_job_withdrawn_by_the_transaction_that_enqueued_it_is_not_called(
    provider: Provider, database: Database, metrics: Metrics
) -> None:
    with running(worker_of(provider, database, metrics)):
        eventually(lambda: room(database) >= 2)
        with database.transaction() as transaction:
            put_into(transaction, "ended", "sent")
            assert withdraw(transaction, "calls", ["ended", "unknown"]) == {"order"}
        eventually(lambda: is_empty(database))
    assert provider.ids() == ["sent"]


def test_a_transaction_that_enqueues_several_times_hands_over_as_many_jobs_as_there_is_room_for(
    provider: Provider, database: Database, metrics: Metrics
) -> None:
    provider.may_answer.clear()
    with running(worker_of(provider, database, metrics)):
        free = eventually(lambda: room(database))
        with database.transaction() as transaction:
            for number in range(20):
                put_into(transaction, f"job-{number}")
        assert sum(attempts(database).values()) == free
        provider.may_answer.set()
        eventually(lambda: is_empty(database))
    assert len(provider.asked) == 20


def test_a_failing_report_does_not_prevent_the_handover(
    provider: Provider, database: Database, metrics: Metrics
) -> None:
    with running(worker_of(provider, database, metrics, lease=9000.0)):
        eventually(lambda: room(database))
        with pytest.raises(ZeroDivisionError):
            put_and_report_in_vain(database, "committed")
        eventually(lambda: is_empty(database))
    assert provider.ids() == ["committed"]


def test_while_an_outcome_cannot_be_written_nothing_is_handed_over(
    provider: Provider, database: Database, metrics: Metrics
) -> None:
    provider.may_answer.clear()
    with running(worker_of(provider, database, metrics)):
        eventually(lambda: room(database))
        put(database, "locked")
        with database.transaction() as somebody:
            somebody.execute("SELECT 1 FROM job WHERE id = 'locked' FOR UPDATE")
            provider.may_answer.set()
            eventually(lambda: room(database) == 0)
            put(database, "later")
            assert attempts(database)["later"] == 0
        eventually(lambda: is_empty(database))
    assert provider.ids() == ["locked", "later"]


def test_a_worker_that_has_failed_is_handed_nothing(provider: Provider, database: Database, metrics: Metrics) -> None:
    database.execute("ALTER TABLE job ADD CONSTRAINT never CHECK (attempts = 0 OR id <> 'fatal')")
    with ThreadPoolExecutor(1) as threads:
        end = threads.submit(worker_of(provider, database, metrics).run)
        eventually(lambda: room(database))
        database.execute("INSERT INTO job (queue, id, subject, payload) VALUES ('calls', 'fatal', 'order', '{}')")
        with pytest.raises(IntegrityError):
            end.result(WITHIN)
    put(database, "after it")
    assert attempts(database)["after it"] == 0


def test_a_worker_that_has_ended_offers_no_room() -> None:
    handoff = Handoff[str](1.0, threading.Event())
    handoff.offer(4)
    handoff.close()
    handoff.offer(4)
    assert handoff.room == 0
