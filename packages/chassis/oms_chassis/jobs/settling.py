"""Settling: the outcomes of calls are written, with everything that follows from them, in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from oms_chassis.db import Database, Transaction
from oms_chassis.failures import is_locked, is_of_the_schema, is_unavailable, may_do_in_parts
from oms_chassis.jobs.dead import mark_dead
from oms_chassis.jobs.leases import ask_later, end_cancelled, finish, keep_outcome, postpone, put_back
from oms_chassis.jobs.queue import Done, Job, JobQueue, Outcome, Paused, Retry, Waiting
from oms_chassis.telemetry import tracing
from oms_chassis.telemetry.logs import logger
from oms_chassis.telemetry.metrics import Metrics

log = logger(__name__)

SETTLE_ATTEMPTS = 500  # until a job whose outcome cannot be written dies: a matter of hours
MOST = 500  # outcomes per transaction


@dataclass(frozen=True)
class Call:
    """A call that was made."""

    job: Job
    outcome: Outcome


class Settlement:
    """Writes the outcomes of one queue's calls."""

    def __init__(self, job_queue: JobQueue, database: Database, metrics: Metrics) -> None:
        self._job_queue, self._database = job_queue, database
        self._size = MOST  # outcomes per transaction: fewer while the database cannot cope with more
        self._failures = metrics.settle_failures.labels(job_queue.name)

    def settle(self, calls: Sequence[Call]) -> Sequence[Call]:
        """Write these outcomes, and return those that are left for the next call. That one takes fewer if these were
        too much for the database or need a locked row: each such attempt takes seconds, and the caller has leases to
        renew. Raises SQLAlchemyError while the database is unavailable or the queue's own table does not fit."""
        portion, others = calls[: self._size], calls[self._size :]
        if not portion:
            return calls
        try:
            left = self._settle(portion)
        except Exception as error:
            if not may_do_in_parts(error):
                raise
            if len(portion) > 1:
                self._size = len(portion) // 2
                return calls
            return [*others, *self._fail(portion[0], error)]
        self._size = min(MOST, self._size * 2)
        return [*others, *left]

    def _settle(self, calls: Sequence[Call]) -> Sequence[Call]:
        try:
            with self._database.transaction() as transaction:
                self._write(transaction, calls)
        except Exception as error:
            if is_unavailable(error):
                raise
            return self._settle_apart(calls) if len(calls) > 1 else self._fail(calls[0], error)
        return []

    def _settle_apart(self, calls: Sequence[Call]) -> Sequence[Call]:
        """Write each of these alone, and return those that are left. Stops at the first that was too much or is
        locked."""
        left: list[Call] = []
        for number, call in enumerate(calls):
            try:
                left += self._settle([call])
            except Exception as error:
                if not may_do_in_parts(error):
                    raise
                return [*left, *calls[number:]]
        return left

    def _fail(self, call: Call, error: Exception) -> Sequence[Call]:
        """Keep the outcome with its job for later, and return the call if the job is locked, too."""
        about = {"subject": call.job.subject, **tracing.field(call.job.traceparent)}
        log.error("settle_failed", queue=self._job_queue.name, error=type(error).__name__, **about)
        self._failures.inc()
        try:
            self._keep(call, f"settle: {type(error).__name__}")
        except SQLAlchemyError as held:
            if not is_locked(held):
                raise
            return [call]
        return []

    def _keep(self, call: Call, reason: str) -> None:
        """Keep the outcome with its job: the call was made, and must not be repeated because of a failure here."""
        job, outcome = call.job, call.outcome
        try:
            with self._database.transaction() as transaction:
                if not isinstance(outcome, Done):
                    postpone(transaction, job.queue, [(job, Retry(reason))])
                elif (failures := job.outcome["failures"] if job.outcome else 0) + 1 >= SETTLE_ATTEMPTS:
                    mark_dead(transaction, job.queue, [(job, reason)])
                else:
                    keep_outcome(transaction, job, {"result": outcome.result, "failures": failures + 1}, reason)
        except SQLAlchemyError as error:
            if is_unavailable(error) or is_of_the_schema(error):
                raise
            with self._database.transaction() as transaction:
                mark_dead(transaction, job.queue, [(job, f"{reason}, nor can the outcome be kept")])

    def _write(self, transaction: Transaction, calls: Sequence[Call]) -> None:
        queue = self._job_queue.name
        done = [(call.job, call.outcome.result) for call in calls if isinstance(call.outcome, Done)]
        missed = [(call.job, call.outcome) for call in calls if isinstance(call.outcome, Retry)]
        paused = [(call.job, call.outcome) for call in calls if isinstance(call.outcome, Paused)]
        waiting = [(call.job, call.outcome) for call in calls if isinstance(call.outcome, Waiting)]
        ours = finish(transaction, queue, [job for job, _ in done])
        if settled := [(job, result) for job, result in done if job.id in ours]:
            self._job_queue.settle(transaction, settled)
        self._give_up(transaction, [(job, retry.reason) for job, retry in missed if self._is_over(job)])
        postpone(transaction, queue, [(job, retry) for job, retry in missed if not self._is_over(job)])
        put_back(transaction, queue, paused)
        ask_later(transaction, queue, waiting)
        end_cancelled(transaction, queue, [call.job for call in calls if not isinstance(call.outcome, Done)])

    def _give_up(self, transaction: Transaction, jobs: Sequence[tuple[Job, str]]) -> None:
        ours = mark_dead(transaction, self._job_queue.name, jobs)
        given_up = [job for job, _ in jobs if job.id in ours]
        if given_up and self._job_queue.give_up is not None:
            self._job_queue.give_up(transaction, given_up)

    def _is_over(self, job: Job) -> bool:
        return self._job_queue.max_attempts is not None and job.failed_calls + 1 >= self._job_queue.max_attempts
