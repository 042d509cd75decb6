"""The worker of one queue of jobs: one thread claims and settles, a pool makes the calls."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from oms_chassis import pacing
from oms_chassis.db import Database, Transaction, is_unavailable
from oms_chassis.heartbeat import beat
from oms_chassis.jobs.dead import mark_dead
from oms_chassis.jobs.queue import Done, Job, JobQueue, Outcome, Retry, claim, finish, give_back, postpone, renew
from oms_chassis.telemetry import tracing
from oms_chassis.telemetry.logs import logger
from oms_chassis.telemetry.metrics import Metrics

log = logger(__name__)

IDLE = 0.25  # seconds between looks while nothing is due: retries and other replicas' leases come due unannounced
CLAIMED = 500  # jobs at most that are claimed at a time


@dataclass(frozen=True)
class _Call:
    job: Job
    outcome: Outcome


class Worker:
    """Works one queue: one thread claims and settles, a pool makes the calls."""

    def __init__(self, job_queue: JobQueue, database: Database, metrics: Metrics) -> None:
        self._job_queue, self._database, self._metrics = job_queue, database, metrics
        self.name = f"{job_queue.name}-jobs"
        self._wake = database.signals.event(job_queue.name)
        self._stopping = threading.Event()
        self._flying: dict[Future[_Call | None], Job] = {}
        self._landed: list[_Call] = []
        self._unbegun: list[Job] = []
        self._renewed_at = time.monotonic()
        for outcome in (Done, Retry):
            metrics.calls.labels(job_queue.name, outcome.__name__.lower())

    def run(self) -> None:
        """Claim, call and settle until stopped. Then calls under way are waited for and settled; jobs whose calls have
        not begun are given back."""
        with ThreadPoolExecutor(self._job_queue.concurrency, f"{self._job_queue.name}-call") as pool:
            while not self._stopping.is_set() or self._flying or self._landed:
                beat()
                self._wake.clear()
                began = time.monotonic()
                try:
                    busy = self._turn(pool)
                except SQLAlchemyError as error:
                    if not is_unavailable(error):
                        raise
                    log.warning("database_unavailable", queue=self._job_queue.name, error=type(error).__name__)
                    if self._stopping.is_set():
                        return  # the leases run out, and another worker asks what became of the calls
                    time.sleep(0.2)
                    continue
                if busy:
                    self._stopping.wait(pacing.pause(time.monotonic() - began))
                else:
                    self._wake.wait(min(IDLE, self._renew_every))

    def stop(self) -> None:
        """Claim no more."""
        self._stopping.set()
        self._wake.set()

    def _turn(self, pool: ThreadPoolExecutor) -> bool:
        if self._stopping.is_set():
            self._give_back()
        self._collect()
        self._renew()  # before the claim, which could otherwise take what is flying here
        settled = len(self._landed)
        self._settle_all()
        free = self._room(settled) - len(self._flying)
        if self._stopping.is_set() or free <= 0:
            return settled > 0
        with self._database.transaction() as transaction:
            claimed = claim(transaction, self._job_queue.name, free, self._job_queue.lease_seconds)
        leased_at = time.monotonic()
        for job in claimed:
            future = pool.submit(self._call, job, leased_at)
            self._flying[future] = job
            future.add_done_callback(lambda _: self._wake.set())
        return bool(claimed or settled)

    @property
    def _renew_every(self) -> float:
        return self._job_queue.lease_seconds / 3

    def _renew(self) -> None:
        """Keep the jobs whose calls are under way or landed: a call may take longer than a lease."""
        if time.monotonic() - self._renewed_at < self._renew_every:
            return
        begun = [job for future, job in self._flying.items() if future.running()]
        jobs = [*begun, *(call.job for call in self._landed)]
        if jobs:
            with self._database.transaction() as transaction:
                renew(transaction, self._job_queue.name, jobs, self._job_queue.lease_seconds)
        self._renewed_at = time.monotonic()

    def _room(self, landed: int) -> int:
        """Jobs that may be under way: twice what landed since the last look, so that quick calls never run dry, and
        slow ones do not wait here, claimed, while another worker is idle or while this one is to stop."""
        return min(max(self._job_queue.concurrency * 4, landed * 2), CLAIMED)

    def _give_back(self) -> None:
        """Let other workers have the jobs whose calls have not begun."""
        for future in [future for future in self._flying if future.cancel()]:
            self._unbegun.append(self._flying.pop(future))

    def _collect(self) -> None:
        for future in [future for future in self._flying if future.done()]:
            job, call = self._flying.pop(future), future.result()
            if call is None:
                self._unbegun.append(job)
            else:
                self._landed.append(call)
        if self._unbegun:
            with self._database.transaction() as transaction:
                give_back(transaction, self._job_queue.name, self._unbegun)
            self._unbegun = []

    def _call(self, job: Job, leased_at: float) -> _Call | None:
        # A job that waited for half its lease is given back: its lease might end before it is renewed.
        if time.monotonic() - leased_at > self._job_queue.lease_seconds / 2:
            return None
        with tracing.within(job.traceparent), self._metrics.call_seconds.labels(job.queue).time():
            try:
                outcome = self._job_queue.call(job)
            except Exception as error:  # noqa: BLE001 - whatever a provider's library may raise
                outcome = Retry(type(error).__name__)
            if isinstance(outcome, Retry):
                log.warning("call_retried", queue=job.queue, attempts=job.failed_calls + 1, reason=outcome.reason)
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
        log.error("settle_failed", queue=self._job_queue.name, subject=calls[0].job.subject, error=type(error).__name__)
        with self._database.transaction() as transaction:
            postpone(transaction, self._job_queue.name, [(calls[0].job, Retry(f"settle: {type(error).__name__}"))])

    def _write(self, transaction: Transaction, calls: Sequence[_Call]) -> None:
        queue = self._job_queue.name
        done = [(call.job, call.outcome.result) for call in calls if isinstance(call.outcome, Done)]
        missed = [(call.job, call.outcome) for call in calls if isinstance(call.outcome, Retry)]
        ours = finish(transaction, queue, [job for job, _ in done])
        if settled := [(job, result) for job, result in done if job.id in ours]:
            self._job_queue.settle(transaction, settled)
        self._give_up(transaction, [(job, retry.reason) for job, retry in missed if self._is_over(job)])
        postpone(transaction, queue, [(job, retry) for job, retry in missed if not self._is_over(job)])

    def _give_up(self, transaction: Transaction, jobs: Sequence[tuple[Job, str]]) -> None:
        ours = mark_dead(transaction, self._job_queue.name, jobs)
        given_up = [job for job, _ in jobs if job.id in ours]
        if given_up and self._job_queue.give_up is not None:
            self._job_queue.give_up(transaction, given_up)

    def _is_over(self, job: Job) -> bool:
        return self._job_queue.max_attempts is not None and job.failed_calls + 1 >= self._job_queue.max_attempts
