"""Jobs: calls to the outside, made by workers and never inside a transaction.

A handler writes a job's row; a worker claims it (which records the attempt and leases it), makes the call with an
idempotency key made from the order, and writes the outcome with its event in one transaction. The lease is the row's
`run_at`: a job whose worker died is simply due again. The attempt's number fences off a worker that was too slow.
"""

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from oms_chassis import tracing
from oms_chassis.db import Database, Rows, Transaction, is_unavailable
from oms_chassis.logs import logger
from oms_chassis.metrics import Metrics

log = logger(__name__)

IDLE = 0.25  # seconds between looks while nothing is due: retries and other replicas' leases come due unannounced
PACE = 0.01  # seconds at least between two looks, so that outcomes gather into one transaction
BACKOFF_BASE, BACKOFF_CAP = 0.5, 60.0  # seconds


@dataclass(frozen=True)
class NewJob:
    """A call to be made. `id` is its idempotency key within the queue: a second job of the same id is ignored."""

    id: str
    subject: str
    payload: Mapping[str, Any]
    traceparent: str | None = None


@dataclass(frozen=True)
class Job:
    """A claimed call. With `attempts` above 1, the outcome of an earlier call may be unknown: ask before repeating."""

    queue: str
    id: str
    subject: str
    payload: Mapping[str, Any]
    traceparent: str | None
    attempts: int


@dataclass(frozen=True)
class Done:
    """The call's outcome is known (a refusal is an outcome, too)."""

    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Retry:
    """The call is to be made again. `reason` is short and holds nothing of the customer's."""

    reason: str


Outcome = Done | Retry
Settled = tuple[Job, Mapping[str, Any]]


@dataclass(frozen=True)
class Worker:
    """How the jobs of one queue are done. `call` runs outside any transaction, `settle` and `give_up` inside one."""

    queue: str
    call: Callable[[Job], Outcome]
    settle: Callable[[Transaction, list[Settled]], None]
    give_up: Callable[[Transaction, list[Job]], None]
    concurrency: int = 8
    max_attempts: int = 10
    lease_seconds: float = 60.0


_PUT = """
INSERT INTO job (queue, id, subject, payload, traceparent)
SELECT %(queue)s, id, subject, payload, traceparent
FROM json_to_recordset(%(rows)s::json) AS r(id text, subject text, payload jsonb, traceparent text)
ON CONFLICT (queue, id) DO NOTHING
"""
_CLAIM = """
UPDATE job SET attempts = attempts + 1, run_at = now() + make_interval(secs => %(lease)s)
FROM (
    SELECT queue, id FROM job WHERE queue = %(queue)s AND run_at <= now()
    ORDER BY run_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
) AS due
WHERE job.queue = due.queue AND job.id = due.id
RETURNING job.queue, job.id, job.subject, job.payload, job.traceparent, job.attempts
"""
_OURS = "FROM json_to_recordset(%(rows)s::json) AS r(id text, attempts int, delay float, reason text)"
_FINISH = f"""
DELETE FROM job USING (SELECT * {_OURS}) AS ours
WHERE job.queue = %(queue)s AND job.id = ours.id AND job.attempts = ours.attempts RETURNING job.id
"""
_POSTPONE = f"""
UPDATE job SET run_at = now() + make_interval(secs => ours.delay), last_error = ours.reason
FROM (SELECT * {_OURS}) AS ours
WHERE job.queue = %(queue)s AND job.id = ours.id AND job.attempts = ours.attempts
"""


def put(transaction: Transaction, queue: str, jobs: Iterable[NewJob]) -> None:
    """Write job rows."""
    rows = [
        {"id": job.id, "subject": job.subject, "payload": job.payload, "traceparent": job.traceparent} for job in jobs
    ]
    if rows:
        transaction.run_rows(_PUT, rows, queue=queue)
        transaction.wakes.add(queue)


def claim(transaction: Transaction, queue: str, limit: int, lease: float) -> list[Job]:
    """Jobs that are due, now leased to the caller."""
    rows: Rows = transaction.run(_CLAIM, queue=queue, limit=limit, lease=lease)
    return [Job(row.queue, row.id, row.subject, row.payload, row.traceparent, row.attempts) for row in rows]


def finish(transaction: Transaction, queue: str, jobs: Sequence[Job]) -> set[str]:
    """Delete the jobs that are still the caller's; their ids. What another worker claimed since is not touched."""
    rows = transaction.run_rows(_FINISH, [{"id": job.id, "attempts": job.attempts} for job in jobs], queue=queue)
    return {row.id for row in rows}


def postpone(transaction: Transaction, queue: str, jobs: Sequence[tuple[Job, str]]) -> None:
    """Make jobs due again after their backoff, if they are still the caller's."""
    rows = [{"id": j.id, "attempts": j.attempts, "delay": backoff(j.attempts), "reason": why} for j, why in jobs]
    transaction.run_rows(_POSTPONE, rows, queue=queue)


def backoff(attempts: int) -> float:
    """Seconds until the next attempt: exponential, capped, and spread so that failures do not come back together."""
    ceiling: float = min(BACKOFF_CAP, BACKOFF_BASE * 2.0 ** min(attempts - 1, 16))
    return ceiling * random.uniform(0.5, 1.0)  # noqa: S311 - a spread, not a secret


@dataclass(frozen=True)
class _Call:
    job: Job
    outcome: Outcome


class Runner:
    """Works one queue: one thread claims and settles, a pool makes the calls."""

    def __init__(self, worker: Worker, database: Database, metrics: Metrics) -> None:
        self._worker, self._database, self._metrics = worker, database, metrics
        self._wake = database.wakes.of(worker.queue)
        self._stopping = threading.Event()
        self._flying: set[Future[_Call | None]] = set()
        self._landed: list[_Call] = []

    def run(self) -> None:
        """Claim, call and settle until stopped; calls that are under way are waited for and settled."""
        with ThreadPoolExecutor(self._worker.concurrency, f"{self._worker.queue}-call") as pool:
            while not self._stopping.is_set() or self._flying or self._landed:
                self._wake.clear()
                try:
                    busy = self._turn(pool)
                except SQLAlchemyError as error:
                    if not is_unavailable(error):
                        raise
                    log.warning("database_unavailable", queue=self._worker.queue, error=type(error).__name__)
                    if self._stopping.is_set():
                        return  # the leases run out, and another worker asks what became of the calls
                    time.sleep(0.2)
                    continue
                self._wake.wait(PACE if busy else IDLE)
                self._stopping.wait(PACE)

    def stop(self) -> None:
        """Claim no more."""
        self._stopping.set()
        self._wake.set()

    def _turn(self, pool: ThreadPoolExecutor) -> bool:
        self._collect()
        settled = len(self._landed)
        self._settle_all()
        free = self._worker.concurrency * 4 - len(self._flying)
        if self._stopping.is_set() or free <= 0:
            return settled > 0
        with self._database.transaction() as transaction:
            claimed = claim(transaction, self._worker.queue, free, self._worker.lease_seconds)
        leased_at = time.monotonic()
        for job in claimed:
            future = pool.submit(self._call, job, leased_at)
            self._flying.add(future)
            future.add_done_callback(lambda _: self._wake.set())
        return bool(claimed or settled)

    def _collect(self) -> None:
        finished = {future for future in self._flying if future.done()}
        self._flying -= finished
        self._landed += [call for future in finished if (call := future.result()) is not None]

    def _call(self, job: Job, leased_at: float) -> _Call | None:
        # A job that waited for half its lease is left to come due again: its call might end after the lease does.
        if time.monotonic() - leased_at > self._worker.lease_seconds / 2:
            return None
        with tracing.within(job.traceparent), self._metrics.call_seconds.labels(job.queue).time():
            try:
                outcome = self._worker.call(job)
            except Exception as error:  # noqa: BLE001 - whatever a provider's library may raise
                log.warning("call_failed", queue=job.queue, subject=job.subject, error=type(error).__name__)
                outcome = Retry(type(error).__name__)
        self._metrics.calls.labels(job.queue, type(outcome).__name__.lower()).inc()
        return _Call(job, outcome)

    def _settle_all(self) -> None:
        if not self._landed:
            return
        self._settle(self._landed)
        self._landed = []

    def _settle(self, calls: Sequence[_Call]) -> None:
        try:
            with self._database.transaction() as transaction:
                self._write(transaction, calls)
        except Exception as error:
            if is_unavailable(error):
                raise
            self._settle_apart(calls, error)

    def _settle_apart(self, calls: Sequence[_Call], error: Exception) -> None:
        if len(calls) > 1:
            for call in calls:
                self._settle([call])
            return
        log.error("settle_failed", queue=self._worker.queue, subject=calls[0].job.subject, error=type(error).__name__)
        with self._database.transaction() as transaction:
            postpone(transaction, self._worker.queue, [(calls[0].job, f"settle: {type(error).__name__}")])

    def _write(self, transaction: Transaction, calls: Sequence[_Call]) -> None:
        queue = self._worker.queue
        done = [(call.job, call.outcome.result) for call in calls if isinstance(call.outcome, Done)]
        missed = [(call.job, call.outcome.reason) for call in calls if isinstance(call.outcome, Retry)]
        over = [job for job, _ in missed if job.attempts >= self._worker.max_attempts]
        ours = finish(transaction, queue, [*(job for job, _ in done), *over])
        if settled := [(job, result) for job, result in done if job.id in ours]:
            self._worker.settle(transaction, settled)
        if given_up := [job for job in over if job.id in ours]:
            self._worker.give_up(transaction, given_up)
        postpone(transaction, queue, [(job, why) for job, why in missed if job.attempts < self._worker.max_attempts])
