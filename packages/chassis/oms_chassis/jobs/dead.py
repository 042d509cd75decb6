"""Dead jobs: given up, and kept with everything that their calls need, so that they can be redriven.

A dead job is never due. One that was cancelled during its call dies when the call ends: until then its `dead_at` is the
end of the lease, and is renewed with it. Its payload may hold a customer's address, so it is deleted after some days,
unless its queue never gives a job up: then it died because the outcome of a call, such as a payment, could not be
written.
"""

from collections.abc import Iterable, Mapping, Sequence

from oms_chassis.db import Transaction
from oms_chassis.jobs.queue import UNDER_WAY, Job, JobQueue, take_back
from oms_chassis.retention import Retention

_MARK = f"""
UPDATE job SET dead_at = CASE WHEN {UNDER_WAY} THEN run_at ELSE now() END,
    run_at = 'infinity', last_error = ours.reason, failed_calls = failed_calls + 1,
    failing_since = coalesce(failing_since, now())
FROM json_to_recordset(%(rows)s::json) AS ours(id text, attempts int, reason text)
WHERE job.queue = %(queue)s AND job.id = ours.id AND job.attempts = ours.attempts AND dead_at IS NULL
RETURNING job.id
"""
_SHELVE = """
UPDATE job SET dead_at = now(), run_at = 'infinity', last_error = ours.reason
FROM json_to_recordset(%(rows)s::json) AS ours(id text, reason text)
WHERE job.queue = %(queue)s AND job.id = ours.id AND job.attempts = 0
"""
_DISCARD = "DELETE FROM job WHERE queue = %(queue)s AND id = ANY(%(ids)s) AND dead_at IS NOT NULL"
_REDRIVE = """
UPDATE job SET dead_at = NULL, run_at = now(), failed_calls = 0, failing_since = NULL, ended_attempt = attempts
WHERE queue = %(queue)s AND id = ANY(%(ids)s)
    AND (dead_at <= now() OR dead_at > now() + make_interval(secs => %(lease)s))
RETURNING queue, id, subject, payload, traceparent, attempts, failed_calls, 0::float AS failing_for, outcome
"""


def mark_dead(transaction: Transaction, queue: str, jobs: Sequence[tuple[Job, str]], lease: float = 0.0) -> set[str]:
    """Give up the jobs that are still the caller's and not dead yet, each for a reason, and return their ids. With a
    `lease`, a worker may still hold them: one whose call may be under way dies when its lease expires."""
    rows = [{"id": job.id, "attempts": job.attempts, "reason": reason} for job, reason in jobs]
    return {row.id for row in transaction.execute_rows(_MARK, rows, queue=queue, lease=lease)}


def shelve(transaction: Transaction, queue: str, reasons: Mapping[str, str]) -> None:
    """Give up jobs that were enqueued in this transaction, by id and each for a reason: no call is made."""
    take_back(transaction, queue, reasons)
    transaction.execute_rows(_SHELVE, ({"id": job, "reason": reason} for job, reason in reasons.items()), queue=queue)


def redrive(transaction: Transaction, job_queue: JobQueue, ids: Iterable[str]) -> set[str]:
    """Make dead jobs due again, as if no call had failed, and return the ids of those that were dead. A cancelled job
    is left alone while its call may be under way: it would be made twice."""
    rows = transaction.execute(_REDRIVE, queue=job_queue.name, ids=list(ids), lease=job_queue.lease_seconds)
    jobs = [Job(*tuple(row)) for row in rows]
    if jobs and job_queue.on_redrive is not None:
        job_queue.on_redrive(transaction, jobs)
    transaction.signals.add(job_queue.name)
    return {job.id for job in jobs}


def discard(transaction: Transaction, queue: str, ids: Iterable[str]) -> None:
    """Delete those of these jobs that are dead, so that they cannot be redriven."""
    transaction.execute(_DISCARD, queue=queue, ids=list(ids))


def retention(days: float, job_queues: Iterable[JobQueue]) -> Sequence[Retention]:
    """Return the rule by which dead jobs are deleted after this many days, except those of queues that never give a job
    up: they died because the outcomes of their calls could not be written. Nobody else knows these, and somebody's
    money is at stake."""
    names = ", ".join(f"'{one.name}'" for one in job_queues if one.max_attempts is not None)
    return [Retention("job", "dead_at", days * 86400, condition=f"queue IN ({names})")] if names else []
