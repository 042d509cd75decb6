"""The calls that are under way: since when, and which of them take too long."""

import time

from oms_chassis.jobs.queue import Job, JobQueue
from oms_chassis.telemetry.logs import logger
from oms_chassis.telemetry.metrics import Metrics

log = logger(__name__)


class CallsUnderWay:
    """Begun and ended by the threads that call, measured by the worker's."""

    def __init__(self, job_queue: JobQueue, metrics: Metrics) -> None:
        self._job_queue = job_queue
        self._oldest = metrics.call_oldest.labels(job_queue.name)
        self._since: dict[str, float] = {}
        self._reported: set[str] = set()

    def begin(self, job: Job) -> None:
        """The call of this job is made from now on."""
        self._since[job.id] = time.monotonic()

    def end(self, job: Job) -> None:
        """It is over."""
        self._since.pop(job.id, None)

    def measure(self) -> None:
        """Bring the gauge up to date, and report each call once that takes longer than the queue's calls should."""
        now = time.monotonic()
        ages = {job_id: now - since for job_id, since in list(self._since.items())}
        self._oldest.set(max(ages.values(), default=0.0))
        overdue = {job_id for job_id, age in ages.items() if age > self._job_queue.call_seconds}
        for _ in overdue - self._reported:
            log.warning("call_overdue", queue=self._job_queue.name, seconds=self._job_queue.call_seconds)
        self._reported = overdue
