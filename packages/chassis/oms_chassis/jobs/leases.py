"""What the owner of leases does with its jobs: renew, give back, finish, make due again.

Each statement touches only the jobs that are still the caller's: not those that another worker claimed since. One that
an operator gave up meanwhile is not made due again; but if its call succeeds, that is what became of it.
"""

import random
from collections.abc import Mapping, Sequence

from oms_chassis.db import Transaction
from oms_chassis.jobs.queue import Job, Paused, Retry, Unsettled, Waiting
from oms_chassis.statements import as_json

BACKOFF_BASE, BACKOFF_CAP = 0.5, 60.0  # seconds
LATEST = 900.0  # seconds from now after which no job comes due, unless a lease is longer

_OURS = """
FROM json_to_recordset(%(rows)s::json)
    AS r(id text, attempts int, failed_calls int, delay float, reason text, changes jsonb)
"""
_STILL_OURS = "WHERE job.queue = %(queue)s AND job.id = ours.id AND job.attempts = ours.attempts"
_OPEN = f"{_STILL_OURS} AND dead_at IS NULL"  # and nobody gave it up
# Of these, those whose rows nobody holds: the others' leases are not to end for the sake of one that somebody looks at.
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
    """Undo the claim of jobs whose calls have not begun, if they are still the caller's: they are due at once. One that
    somebody holds is due when its lease ends."""
    transaction.execute_rows(_GIVE_BACK, _claims(jobs), queue=queue)
    end_cancelled(transaction, queue, jobs)


def end_cancelled(transaction: Transaction, queue: str, jobs: Sequence[Job]) -> None:
    """Of jobs whose calls are under way no longer, those that were cancelled meanwhile are dead from now on. One that
    somebody holds is when its lease ends."""
    transaction.execute_rows(_DIED, _claims(jobs), queue=queue)


def renew(transaction: Transaction, queue: str, jobs: Sequence[Job], lease: float) -> None:
    """Begin the leases of these jobs again, if they are still the caller's, also of one that was cancelled meanwhile:
    nobody is to have its call made a second time."""
    transaction.execute_rows(_RENEW, _claims(jobs), queue=queue, lease=lease)


def bring_forward(transaction: Transaction, queue: str, lease: float) -> None:
    """Make jobs due that are so late only because the database's clock was put back since: at once, if nobody has
    them; else in a lease, since the call of one may be under way, and its owner renews it."""
    transaction.execute(_BRING_FORWARD, queue=queue, lease=lease, latest=max(LATEST, lease))


def finish(transaction: Transaction, queue: str, jobs: Sequence[Job]) -> set[str]:
    """Delete the jobs that are still the caller's; their ids. What another worker claimed since is not touched."""
    rows = transaction.execute_rows(_FINISH, _claims(jobs), queue=queue)
    return {row.id for row in rows}


def put_back(transaction: Transaction, queue: str, jobs: Sequence[tuple[Job, Paused]]) -> None:
    """Make jobs due again whose calls met a provider's failure, if they are still the caller's: it is not counted.

    Later than the others, though: if it was this one job that the provider failed at, it is not the next probe.
    """
    rows = [
        {"id": job.id, "attempts": job.attempts, "delay": backoff(job.attempts), "reason": paused.reason}
        for job, paused in jobs
    ]
    transaction.execute_rows(_PUT_BACK, rows, queue=queue)


def postpone(transaction: Transaction, queue: str, jobs: Sequence[tuple[Job, Retry]]) -> None:
    """Make jobs due again after their backoff, if they are still the caller's. A call that has failed counts once,
    though it is settled again because the answer to that was lost."""
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
    """Make jobs due again when their providers are to be asked what became of the calls, if they are still the
    caller's."""
    rows = [
        {"id": job.id, "attempts": job.attempts, "delay": min(waiting.seconds, LATEST), "changes": waiting.changes}
        for job, waiting in jobs
    ]
    transaction.execute_rows(_ASK_LATER, rows, queue=queue)


def keep_outcome(transaction: Transaction, job: Job, outcome: Unsettled, reason: str) -> None:
    """Make a job due again after its backoff, to be settled and not called, if it is still the caller's."""
    delay = backoff(outcome["failures"])
    owned = {"queue": job.queue, "id": job.id, "attempts": job.attempts}
    transaction.execute(_KEEP_OUTCOME, outcome=as_json(outcome), reason=reason, delay=delay, **owned)


def backoff(failures: int) -> float:
    """Seconds until the next call: exponential, capped, and spread so that failures do not come back together."""
    return _spread(min(BACKOFF_CAP, BACKOFF_BASE * 2.0 ** min(failures - 1, 16)))


def _spread(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311 - a spread, not a secret


def _claims(jobs: Sequence[Job]) -> Sequence[Mapping[str, object]]:
    """Rows of jobs by which `_STILL_OURS` knows those that nobody else has claimed since."""
    return [{"id": job.id, "attempts": job.attempts} for job in jobs]
