"""Queries for operators: which jobs there are, and the outcomes of their calls, without their payloads."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from oms_chassis.db import Database, Transaction
from oms_chassis.jobs.queue import UNDER_WAY
from oms_chassis.statements import Row, Rows

DEAD = "dead"
# A dead job is never due. Times are replaced that JSON and Python cannot hold, such as infinity.
_JOB = """
    queue, id, subject, attempts, failed_calls, failing_since, last_error, created_at,
    CASE WHEN dead_at > now() THEN now() ELSE dead_at END AS dead_at,
    CASE WHEN dead_at IS NULL THEN run_at END AS due_at,
    CASE WHEN dead_at IS NOT NULL THEN 'dead' WHEN failing_since IS NOT NULL OR last_error IS NOT NULL THEN 'failing'
        ELSE 'waiting' END AS state
"""
_PAGE = f"""
SELECT * FROM (SELECT {_JOB}, queue || ' ' || id AS place FROM job) AS listed
WHERE (queue, id) > (%(after_queue)s, %(after_id)s){{filters}}
ORDER BY queue, id LIMIT %(limit)s
"""
_ABOUT = f"SELECT {_JOB} FROM job WHERE subject = ANY(%(subjects)s) ORDER BY created_at, id"
_LOCK = f"SELECT {_JOB} FROM job WHERE queue = %(queue)s AND id = %(id)s FOR UPDATE"
_DUE = f"""
UPDATE job SET run_at = now() WHERE queue = %(queue)s AND id = %(id)s AND dead_at IS NULL AND NOT ({UNDER_WAY})
RETURNING 1
"""


@dataclass(frozen=True)
class Filters:
    """The jobs that are asked for; None means any."""

    queue: str | None = None
    state: str | None = None
    subject: str | None = None


def page(database: Database, filters: Filters, after: str, limit: int) -> Rows:
    """Return jobs ordered by queue and id, which together are their `place`, beginning after this one."""
    queue, _, job_id = after.partition(" ")  # a queue's name has no space, and a job's id may have some
    given = {name: value for name, value in asdict(filters).items() if value is not None}
    # Only the filters that are given: PostgreSQL takes the others for selective, and plans for too few jobs.
    sql = _PAGE.format(filters="".join(f" AND {name} = %({name})s" for name in given))
    return database.execute(sql, after_queue=queue, after_id=job_id, limit=limit, **given)


def about(at: Database | Transaction, subjects: Sequence[str]) -> Rows:
    """Return the jobs about these subjects."""
    return at.execute(_ABOUT, subjects=list(subjects))


def lock(transaction: Transaction, queue: str, job_id: str) -> Row | None:
    """Lock a job until this transaction ends, and return it."""
    rows = transaction.execute(_LOCK, queue=queue, id=job_id)
    return rows[0] if rows else None


def make_due(transaction: Transaction, queue: str, job_id: str, lease: float) -> bool:
    """Make a job due at once. Return False if its call may be under way, because it would be made a second time; if it
    is not, the job is due within a lease by itself."""
    is_due = bool(transaction.execute(_DUE, queue=queue, id=job_id, lease=lease))
    transaction.signals.add(queue)
    return is_due
