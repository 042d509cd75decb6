"""Statements by which the holder of leases updates its jobs: renew, give back, finish, postpone.

Each statement touches only jobs that are still the caller's, not those that another worker has claimed since. A job
that an operator has given up meanwhile is not made due again; but if its call succeeds, its outcome counts.
"""

import random
from collections.abc import Mapping, Sequence

from oms_chassis.db import Transaction
from oms_chassis.jobs.queue import Job, Paused, Retry, Unsettled, Waiting
from oms_chassis.statements import as_json

BACKOFF_BASE, BACKOFF_CAP = 0.5, 60.0  # seconds
LATEST = 900.0  # the most seconds until a job is due, unless a lease is longer

_OURS = """
FROM json_to_recordset(%(rows)s::json)
    AS r(id text, attempts int, failed_calls int, delay float, reason text, changes jsonb)
"""
_STILL_OURS = "WHERE job.queue = %(queue)s AND job.id = ours.id AND job.attempts = ours.attempts"
_OPEN = f"{_STILL_OURS} AND dead_at IS NULL"  # and not given up
# Skips locked rows: the other leases must not expire because somebody looks at one job.
_FREE = f"""
FROM (SELECT job.queue, job.id FROM job, (SELECT * {_OURS}) AS ours {{which}} FOR UPDATE OF job SKIP LOCKED) AS free
WHERE job.queue = free.queue AND job.id = free.id
"""
_FINISH = f"""
DELETE FROM job USING (SELECT * {_OURS}) AS ours
{_STILL_OURS} RETURNING job.id
"""
_RENEW = f"""
UPDATE job SET run_at = CASE WHEN dead_at IS NULL THEN now() + make_interval(secs => %(lease)s) ELSE run_at END,
    dead_at = CASE WHEN dead_at IS NOT NULL THEN now() + make_interval(secs => %(lease)s) END
{_FREE.format(which=f"{_STILL_OURS} AND (dead_at IS NULL OR dead_at > now())")}
"""
_BRING_FORWARD = """
UPDATE job SET run_at = CASE WHEN attempts = ended_attempt THEN now() ELSE now() + make_interval(secs => %(lease)s) END
FROM (
    SELECT queue, id FROM job
    WHERE queue = %(queue)s AND run_at > now() + make_interval(secs => %(latest)s) AND run_at < 'infinity'
    FOR UPDATE SKIP LOCKED
) AS late
WHERE job.queue = late.queue AND job.id = late.id
"""
_GIVE_BACK = f"""
UPDATE job SET run_at = now(), attempts = job.attempts - 1 {_FREE.format(which=_OPEN)}
"""
_PUT_BACK = f"""
UPDATE job SET run_at = now() + make_interval(secs => ours.delay), last_error = ours.reason,
    ended_attempt = job.attempts
FROM (SELECT * {_OURS}) AS ours
{_OPEN}
"""
_POSTPONE = f"""
UPDATE job SET run_at = now() + make_interval(secs => ours.delay), last_error = ours.reason,
    payload = job.payload || ours.changes, failed_calls = greatest(job.failed_calls, ours.failed_calls),
    failing_since = least(failing_since, now()), ended_attempt = job.attempts
FROM (SELECT * {_OURS}) AS ours
{_OPEN}
"""
_ASK_LATER = f"""
UPDATE job SET run_at = now() + make_interval(secs => ours.delay), payload = job.payload || ours.changes,
    last_error = NULL, failed_calls = 0, failing_since = NULL, ended_attempt = job.attempts
FROM (SELECT * {_OURS}) AS ours
{_OPEN}
"""
_DIED = f"""
UPDATE job SET dead_at = now() {_FREE.format(which=f"{_STILL_OURS} AND dead_at > now()")}
"""
_KEEP_OUTCOME = """
UPDATE job SET outcome = %(outcome)s::jsonb, last_error = %(reason)s, dead_at = NULL,
    run_at = now() + make_interval(secs => %(delay)s)
WHERE queue = %(queue)s AND id = %(id)s AND attempts = %(attempts)s
"""


def give_back(transaction: Transaction, queue: str, jobs: Sequence[Job]) -> None:
    """Undo the claims of jobs whose calls have not begun, if they are still the caller's: they are due at once. Locked
    ones are due when their leases expire."""
    transaction.execute_rows(_GIVE_BACK, _claims(jobs), queue=queue)
    end_cancelled(transaction, queue, jobs)


def end_cancelled(transaction: Transaction, queue: str, jobs: Sequence[Job]) -> None:
    """Let jobs whose calls have ended die if they were cancelled meanwhile; locked ones do when their leases expire."""
    transaction.execute_rows(_DIED, _claims(jobs), queue=queue)


def renew(transaction: Transaction, queue: str, jobs: Sequence[Job], lease: float) -> None:
    """Renew the leases of these jobs, if they are still the caller's; also of those that were cancelled meanwhile, so
    that nobody makes their calls a second time."""
    transaction.execute_rows(_RENEW, _claims(jobs), queue=queue, lease=lease)


def bring_forward(transaction: Transaction, queue: str, lease: float) -> None:
    """Bring forward jobs that are due too late because the database's clock was set back: to now, if nobody has claimed
    them. Otherwise to the end of a lease, since the call may be under way, and its worker renews the lease."""
    transaction.execute(_BRING_FORWARD, queue=queue, lease=lease, latest=max(LATEST, lease))


def finish(transaction: Transaction, queue: str, jobs: Sequence[Job]) -> set[str]:
    """Delete the jobs that are still the caller's, and return their ids."""
    rows = transaction.execute_rows(_FINISH, _claims(jobs), queue=queue)
    return {row.id for row in rows}


def put_back(transaction: Transaction, queue: str, jobs: Sequence[tuple[Job, Paused]]) -> None:
    """Make jobs due again whose calls met a failure of the provider, if they are still the caller's; it is not counted.

    They are due after the others: if the provider fails only at this job, it should not be the next probe.
    """
    rows = [
        {"id": job.id, "attempts": job.attempts, "delay": backoff(job.attempts), "reason": paused.reason}
        for job, paused in jobs
    ]
    transaction.execute_rows(_PUT_BACK, rows, queue=queue)


def postpone(transaction: Transaction, queue: str, jobs: Sequence[tuple[Job, Retry]]) -> None:
    """Make jobs due again after their backoff, if they are still the caller's. A failed call counts once, even if it is
    settled twice because the answer to the first commit was lost."""
    failed = [(job, job.failed_calls + 1, retry) for job, retry in jobs]
    rows = [
        {
            "id": job.id,
            "attempts": job.attempts,
            "failed_calls": calls,
            "delay": max(backoff(calls), _spread(retry.seconds)),
            "reason": retry.reason,
            "changes": retry.changes,
        }
        for job, calls, retry in failed
    ]
    transaction.execute_rows(_POSTPONE, rows, queue=queue)


def ask_later(transaction: Transaction, queue: str, jobs: Sequence[tuple[Job, Waiting]]) -> None:
    """Make jobs due again when the provider should be asked for the outcomes of their calls, if they are still the
    caller's."""
    rows = [
        {"id": job.id, "attempts": job.attempts, "delay": min(waiting.seconds, LATEST), "changes": waiting.changes}
        for job, waiting in jobs
    ]
    transaction.execute_rows(_ASK_LATER, rows, queue=queue)


def keep_outcome(transaction: Transaction, job: Job, outcome: Unsettled, reason: str) -> None:
    """Make a job due again after its backoff, to be settled but not called again, if it is still the caller's."""
    delay = backoff(outcome["failures"])
    owned = {"queue": job.queue, "id": job.id, "attempts": job.attempts}
    transaction.execute(_KEEP_OUTCOME, outcome=as_json(outcome), reason=reason, delay=delay, **owned)


def backoff(failures: int) -> float:
    """Return the seconds until the next call: exponential, capped, and with jitter."""
    return _spread(min(BACKOFF_CAP, BACKOFF_BASE * 2.0 ** min(failures - 1, 16)))


def _spread(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311 - a spread, not a secret


def _claims(jobs: Sequence[Job]) -> Sequence[Mapping[str, object]]:
    """Return the ids and attempts by which `_STILL_OURS` recognises jobs that nobody else has claimed since."""
    return [{"id": job.id, "attempts": job.attempts} for job in jobs]
