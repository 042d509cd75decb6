"""The worker of one queue of jobs."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

from sqlalchemy.exc import SQLAlchemyError

from oms_chassis.db import Database
from oms_chassis.failures import is_of_the_schema, is_unavailable
from oms_chassis.handoff import Handoff
from oms_chassis.heartbeat import beat
from oms_chassis.jobs.breaker import CircuitBreaker
from oms_chassis.jobs.calls import Calls
from oms_chassis.jobs.leases import bring_forward, give_back, renew
from oms_chassis.jobs.queue import Done, Job, JobQueue, claim, due_in
from oms_chassis.jobs.settling import Call, Settlement
from oms_chassis.pacing import Pace, Reminder
from oms_chassis.telemetry.logs import logger
from oms_chassis.telemetry.metrics import Metrics

log = logger(__name__)

# Seconds between polls for jobs that become due without a signal, such as retries and expired leases of other replicas:
# while one may be due soon, and otherwise. Jobs that this process enqueues wake its worker.
SOON, IDLE = 0.25, 1.0
FAULT_PAUSE = 2.0  # seconds until another try while the schema does not fit
RENEWED = 2.0  # seconds between two renewals of the leases, at most
CLAIMED = 500  # the most jobs that are claimed at a time


class Worker:
    """Processes one queue: one thread claims and settles jobs, a pool makes the calls."""

    def __init__(self, job_queue: JobQueue, database: Database, metrics: Metrics) -> None:
        self._job_queue, self._database, self._metrics = job_queue, database, metrics
        self._calls = Calls(job_queue, metrics)
        self._breaker = CircuitBreaker(job_queue.name, metrics)
        self._settlement = Settlement(job_queue, database, metrics)
        self.name = f"{job_queue.name}-jobs"
        # Signals set the first one first. A call that ends sets only the second: it makes no other job due.
        self._enqueued, self._wake = (database.signals.event(job_queue.name) for _ in range(2))
        self._handoff: Handoff[tuple[Job, float]] = Handoff(job_queue.lease_seconds, self._wake)
        database.signals.handoffs[job_queue.name] = self._handoff
        self._stopping, self._pace, self._reminder = threading.Event(), Pace(), Reminder()
        self._under_way: dict[Future[Call | None], Job] = {}
        self._unsettled: list[Call] = []
        self._unbegun: list[Job] = []
        self._renewed_at, self._renew_every = time.monotonic(), min(job_queue.lease_seconds / 3, RENEWED)
        self._is_to_look, self._idle, self._looked_at = True, SOON, time.monotonic()

    def run(self) -> None:
        """Claim, call and settle until stopped. Then wait for the calls under way and settle them, and give back jobs
        whose calls have not begun."""
        threads = ThreadPoolExecutor(self._job_queue.concurrency, f"{self._job_queue.name}-call")
        with threads as pool, closing(self._handoff):
            while not self._is_over():
                beat()
                self._wake.clear()
                began = time.monotonic()
                if self._enqueued.is_set() or began - self._looked_at >= self._idle:
                    self._enqueued.clear()
                    self._is_to_look = True
                try:
                    busy = self._turn(pool)
                except SQLAlchemyError as error:
                    if not (is_unavailable(error) or is_of_the_schema(error)):
                        raise
                    self._report(error)
                    self._handoff.offer(0)
                    if self._stopping.is_set():
                        return  # the leases expire, and another worker queries the outcomes of the calls
                    self._stopping.wait(0.2 if is_unavailable(error) else FAULT_PAUSE)
                    continue
                self._reminder.end()
                self._breaker.show()
                if busy:
                    self._stopping.wait(self._pace.pause(began))
                else:
                    self._wake.wait(min(self._idle, self._renew_every))

    def stop(self) -> None:
        """Claim no more jobs; `run` returns once the calls under way are settled."""
        self._stopping.set()
        self._handoff.close()
        self._wake.set()

    def _report(self, error: SQLAlchemyError) -> None:
        about, is_due = {"queue": self._job_queue.name, "error": type(error).__name__}, self._reminder.is_due()
        if is_of_the_schema(error):
            self._metrics.queue_paused.labels(self._job_queue.name).set(1)
            if is_due:
                log.error("schema_does_not_fit", **about)
        elif is_due:
            log.warning("database_unavailable", **about)

    def _turn(self, pool: ThreadPoolExecutor) -> bool:
        if self._is_to_rest():
            self._give_back()
        self._collect()
        self._calls.report()
        self._renew()  # before the claim, which could otherwise take what is under way here
        before = len(self._unsettled)
        self._unsettled = list(self._settlement.settle(self._unsettled))
        settled = before - len(self._unsettled)
        self._idle = SOON
        begun = self._take_over(pool)
        free = self._breaker.room(self._free(settled), self._under_way.values())
        if free > 0 and self._is_to_look and not self._stopping.is_set():
            begun += self._claim(pool, free)
        self._handoff.offer(0 if self._is_occupied() else self._free(settled))
        return begun > 0 or before > 0

    def _take_over(self, pool: ThreadPoolExecutor) -> int:
        """Begin the calls of jobs that were handed over already claimed, and return how many there were."""
        handed = self._handoff.take()
        for job, leased_at in handed:
            if self._is_to_rest():
                self._unbegun.append(job)
            else:
                self._begin(pool, job, leased_at)
        return len(handed)

    def _claim(self, pool: ThreadPoolExecutor, free: int) -> int:
        """Claim at most `free` jobs and begin their calls, and return how many there were."""
        with self._database.single() as transaction:
            claimed = claim(transaction, self._job_queue.name, free, self._job_queue.lease_seconds)
        leased_at = self._looked_at = time.monotonic()
        self._is_to_look = len(claimed) == free
        if not claimed and not self._under_way:
            self._idle = min(max(SOON, due_in(self._database, self._job_queue.name)), IDLE)
        for job in claimed:
            if job.outcome is not None:
                self._unsettled.append(Call(job, Done(job.outcome["result"])))
            else:
                self._begin(pool, job, leased_at)
        return len(claimed)

    def _begin(self, pool: ThreadPoolExecutor, job: Job, leased_at: float) -> None:
        self._breaker.begin(job)
        future = pool.submit(self._calls.make, job, leased_at)
        self._under_way[future] = job
        future.add_done_callback(lambda _: self._wake.set())

    def _is_over(self) -> bool:
        has_jobs = self._under_way or self._unsettled or self._unbegun or self._handoff.given
        return self._stopping.is_set() and not has_jobs

    def _is_occupied(self) -> bool:
        """Whether jobs that were enqueued before, or an outcome that could not be written, may fill the next turn."""
        return self._is_to_look or self._is_to_rest() or bool(self._unsettled)

    def _is_to_rest(self) -> bool:
        return self._stopping.is_set() or self._breaker.is_open

    def _renew(self) -> None:
        """Renew the leases of jobs whose calls are under way or not settled: a call may take longer than a lease. Also
        bring forward jobs that are due too late."""
        if time.monotonic() - self._renewed_at < self._renew_every:
            return
        begun = [job for future, job in self._under_way.items() if future.running()]
        jobs = [*begun, *(call.job for call in self._unsettled)]
        if jobs:
            with self._database.single() as transaction:
                renew(transaction, self._job_queue.name, jobs, self._job_queue.lease_seconds)
        with self._database.single() as transaction:
            bring_forward(transaction, self._job_queue.name, self._job_queue.lease_seconds)
        self._renewed_at = time.monotonic()

    def _free(self, settled: int) -> int:
        """Return how many more jobs may be begun. Up to twice the number settled in the last turn may be under way, so
        that quick calls never run dry, and slow ones do not wait here, claimed, while another worker is idle."""
        room = min(max(self._job_queue.concurrency * 4, settled * 2), CLAIMED)
        return room - len(self._under_way) - len(self._unsettled)

    def _give_back(self) -> None:
        """Give back the jobs whose calls have not begun, for other workers."""
        is_ending = self._stopping.is_set()
        unneeded = [future for future, job in self._under_way.items() if is_ending or not self._breaker.is_probe(job)]
        for future in [future for future in unneeded if future.cancel()]:
            self._unbegun.append(self._under_way.pop(future))

    def _collect(self) -> None:
        for future in [future for future in self._under_way if future.done()]:
            job, call = self._under_way.pop(future), future.result()
            if call is None:
                self._unbegun.append(job)
            else:
                self._breaker.record(job, call.outcome)
                self._unsettled.append(call)
        if self._unbegun:
            # Only once, even if it fails: the next claim has the same number, and a repetition would undo that claim.
            # Jobs that were not given back are due when their leases expire.
            unbegun, self._unbegun = self._unbegun, []
            with self._database.single() as transaction:
                give_back(transaction, self._job_queue.name, unbegun)
