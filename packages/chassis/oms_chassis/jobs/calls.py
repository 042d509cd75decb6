"""Makes the calls of a queue's jobs: one call per claim, and one that takes too long is reported."""

import time

from oms_chassis.jobs.queue import Done, Job, JobQueue, Outcome, Paused, Retry, Waiting
from oms_chassis.jobs.settling import Call
from oms_chassis.telemetry import spans, tracing
from oms_chassis.telemetry.logs import logger
from oms_chassis.telemetry.metrics import Metrics

log = logger(__name__)

OUTCOMES = (Done, Retry, Paused, Waiting)


class Calls:
    """The calls of one queue: made by the threads of a pool, and watched by the worker's thread."""

    def __init__(self, job_queue: JobQueue, metrics: Metrics) -> None:
        self._job_queue = job_queue
        self._since: dict[str, float] = {}
        metrics.call_oldest.labels(job_queue.name).set_function(lambda: max(self._ages().values(), default=0.0))
        self._reported: set[str] = set()
        self._seconds = metrics.call_seconds.labels(job_queue.name)
        self._made = {kind: metrics.calls.labels(job_queue.name, kind) for kind in map(_name, OUTCOMES)}

    def make(self, job: Job, leased_at: float) -> Call | None:
        """Make the call of this job; None if it has waited for half its lease, which might expire before a renewal."""
        if time.monotonic() - leased_at > self._job_queue.lease_seconds / 2:
            return None
        began = time.time_ns()
        with tracing.within(job.traceparent) as step, self._seconds.time():
            self._since[job.id] = time.monotonic()
            try:
                outcome = self._job_queue.call(job)
            except BaseException as error:  # noqa: BLE001 - whatever a provider's library may raise
                outcome = Retry(type(error).__name__)
            finally:
                self._since.pop(job.id, None)
            if isinstance(outcome, Retry):
                log.warning("call_retried", queue=job.queue, attempts=job.failed_calls + 1, reason=outcome.reason)
        kind = label(outcome)
        self._made[kind].inc()
        if spans.are_on():
            _record(job, kind, step, began)
        return Call(job, outcome)

    def report(self) -> None:
        """Report calls that take longer than they should, each of them once."""
        overdue = {job_id for job_id, age in self._ages().items() if age > self._job_queue.call_seconds}
        for _ in overdue - self._reported:
            log.warning("call_overdue", queue=self._job_queue.name, seconds=self._job_queue.call_seconds)
        self._reported = overdue

    def _ages(self) -> dict[str, float]:
        now = time.monotonic()
        return {job_id: now - since for job_id, since in list(self._since.items())}


def _record(job: Job, outcome: str, step: str, began: int) -> None:
    attributes = {"oms.job.queue": job.queue, "oms.job.subject": job.subject, "oms.job.outcome": outcome}
    failed = outcome not in {"done", "waiting"}
    spans.record(f"call {job.queue}", "client", step, job.traceparent, began, failed=failed, attributes=attributes)


def label(outcome: Outcome) -> str:
    """Return an outcome's name in metrics and spans."""
    return next(_name(kind) for kind in OUTCOMES if isinstance(outcome, kind))


def _name(kind: type[Outcome]) -> str:
    return kind.__name__.lower()
