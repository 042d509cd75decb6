"""The circuit breaker of a queue: while its provider is at fault, no calls are made except one probe at a time.

A failure of the provider (it is unavailable, refuses our login, or limits our rate) is not the fault of the job that
met it: it counts against no job, and the others need not meet it, too.
"""

import time
from collections.abc import Callable, Collection

from oms_chassis.jobs.leases import BACKOFF_BASE, backoff
from oms_chassis.jobs.queue import Job, Outcome, Paused, Unanswered, Unavailable
from oms_chassis.telemetry.logs import logger
from oms_chassis.telemetry.metrics import Metrics

log = logger(__name__)

IN_A_ROW = 3  # consecutive jobs that the provider did not serve, after which it is at fault
LONGEST = 3600.0  # the longest pause in seconds, whatever the provider asks for


class CircuitBreaker:
    """Closed while calls are made; open during a pause; then half-open, until one probe decides. Not thread-safe."""

    def __init__(self, queue: str, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._queue, self._clock = queue, clock
        self._gauge = metrics.queue_paused.labels(queue)
        self._gauge.set(0)
        self._unserved: set[str] = set()
        self._pauses = 0
        self._until = 0.0
        self._probe: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether the queue is paused, or waits for the outcome of its probe."""
        return self._pauses > 0

    def show(self) -> None:
        """Update the metric that shows whether the queue is paused."""
        self._gauge.set(self.is_open)

    def room(self, free: int, under_way: Collection[Job]) -> int:
        """Return how many jobs may be claimed, of those that there is room for."""
        if not self.is_open:
            return free
        is_probing = any(self.is_probe(job) for job in under_way)
        return 0 if is_probing or self._clock() < self._until else min(free, 1)

    def begin(self, job: Job) -> None:
        """Note that the call of this job begins. If the queue is paused, it is the probe."""
        if self.is_open:
            self._probe = job.id

    def is_probe(self, job: Job) -> bool:
        """Whether this job is the probe."""
        return job.id == self._probe

    def record(self, job: Job, outcome: Outcome) -> None:
        """Record the outcome of a call. Calls that were under way when the pause began do not end it."""
        if isinstance(outcome, Paused):
            self._pause(outcome.reason, outcome.seconds)
        elif isinstance(outcome, Unavailable | Unanswered):
            self._unserved.add(job.id)
            if self.is_probe(job) or len(self._unserved) >= IN_A_ROW:
                self._pause(outcome.reason)
        elif not self.is_open or self.is_probe(job):
            self._resume()

    def _pause(self, reason: str, seconds: float | None = None) -> None:
        self._probe = None
        if self._clock() < self._until and seconds is None:
            return  # one of the calls that were under way when the pause began
        self._pauses += 1
        pause = min(backoff(self._pauses) if seconds is None else max(seconds, BACKOFF_BASE), LONGEST)
        self._until = max(self._until, self._clock() + pause)
        self._gauge.set(1)
        log.warning("queue_paused", queue=self._queue, reason=reason, seconds=round(pause, 1))

    def _resume(self) -> None:
        self._unserved.clear()
        if not self.is_open:
            return
        self._pauses, self._probe = 0, None
        self._gauge.set(0)
        log.info("queue_resumed", queue=self._queue)
