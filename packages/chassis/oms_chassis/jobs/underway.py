"""The calls that are under way: since when, and which of them take too long."""

import time

from oms_chassis.jobs.queue import Job, JobQueue
from oms_chassis.telemetry.logs import logger
from oms_chassis.telemetry.metrics import Metrics

log = logger(__name__)


class CallsUnderWay:
    """Begun and ended by the threads that call, looked through by the worker's."""

    def __init__(self, job_queue: JobQueue, metrics: Metrics) -> None:
        self._job_queue = job_queue
        self._since: dict[str, float] = {}
        metrics.call_oldest.labels(job_queue.name).set_function(lambda: max(self._ages().values(), default=0.0))
        self._reported: set[str] = set()

    def begin(self, job: Job) -> None:
        """The call of this job is made from now on."""
        self._since[job.id] = time.monotonic()

    def end(self, job: Job) -> None:
        """It is over."""
        self._since.pop(job.id, None)

    def report(self) -> None:
        """Report each call once that takes longer than the queue's calls should."""
        overdue = {job_id for job_id, age in self._ages().items() if age > self._job_queue.call_seconds}
        for _ in overdue - self._reported:
            log.warning("call_overdue", queue=self._job_queue.name, seconds=self._job_queue.call_seconds)
        self._reported = overdue

    def _ages(self) -> dict[str, float]:
        now = time.monotonic()
        return {job_id: now - since for job_id, since in list(self._since.items())}
