"""The circuit breaker of a queue: while its provider is at fault, no calls are made but one probe at a time.

A provider's own failure (it is away, it takes no login, it asks for fewer calls) is not the fault of the job that met
it: it counts against no job, and the others need not meet it, too.
"""

import time
from collections.abc import Callable, Collection

from oms_chassis.jobs.leases import BACKOFF_BASE, backoff
from oms_chassis.jobs.queue import Job, Outcome, Paused, Unanswered, Unavailable
from oms_chassis.telemetry.logs import logger
from oms_chassis.telemetry.metrics import Metrics

log = logger(__name__)

IN_A_ROW = 3  # jobs that the provider did not serve, with none between that it did: its fault, and not theirs
LONGEST = 3600.0  # seconds of a pause, whatever the provider asks for


class CircuitBreaker:
    """Closed while calls are made; open for the time of a pause; then half-open: one probe decides. One thread's."""

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
        """Whether the queue is paused, or waits for what becomes of its probe."""
        return self._pauses > 0

    def show(self) -> None:
        """Let the metric say whether the queue is paused."""
        self._gauge.set(self.is_open)

    def room(self, free: int, under_way: Collection[Job]) -> int:
        """How many of the jobs that there is room for may be claimed."""
        if not self.is_open:
            return free
        is_probing = any(self.is_probe(job) for job in under_way)
        return 0 if is_probing or self._clock() < self._until else min(free, 1)

    def begin(self, job: Job) -> None:
        """The call of this job is to be made: if the queue is paused, it decides whether the pause is over."""
        if self.is_open:
            self._probe = job.id

    def is_probe(self, job: Job) -> bool:
        """Whether this job decides whether the pause is over."""
        return job.id == self._probe

    def record(self, job: Job, outcome: Outcome) -> None:
        """What became of a call. Calls that were under way when the pause began do not end it."""
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
