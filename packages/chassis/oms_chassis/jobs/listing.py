"""Jobs as operators see them: which there are, and what has become of their calls. What they carry is not shown."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from oms_chassis.db import Database, Transaction
from oms_chassis.jobs.queue import UNDER_WAY
from oms_chassis.statements import Row, Rows

DEAD = "dead"
# A dead job has no time at which it is due: a time that JSON and Python can hold takes the place of infinity.
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
    """Which jobs are asked for; None: whatever it is."""

    queue: str | None = None
    state: str | None = None
    subject: str | None = None


def page(database: Database, filters: Filters, after: str, limit: int) -> Rows:
    """Jobs by queue and id, which together are their `place`: those after this one."""
    queue, _, job_id = after.partition(" ")  # a queue's name has no space, and a job's id may have some
    given = {name: value for name, value in asdict(filters).items() if value is not None}
    # Only what is given: PostgreSQL takes the others for rare, and plans for the few jobs that it then expects.
    sql = _PAGE.format(filters="".join(f" AND {name} = %({name})s" for name in given))
    return database.execute(sql, after_queue=queue, after_id=job_id, limit=limit, **given)


def about(at: Database | Transaction, subjects: Sequence[str]) -> Rows:
    """The jobs about these subjects."""
    return at.execute(_ABOUT, subjects=list(subjects))


def lock(transaction: Transaction, queue: str, job_id: str) -> Row | None:
    """A job, nobody else's to change until this transaction ends."""
    rows = transaction.execute(_LOCK, queue=queue, id=job_id)
    return rows[0] if rows else None


def make_due(transaction: Transaction, queue: str, job_id: str, lease: float) -> bool:
    """Make a job due at once; False if its call may be under way, and would be made a second time. If it is not, the
    job is due within a lease by itself."""
    is_due = bool(transaction.execute(_DUE, queue=queue, id=job_id, lease=lease))
    transaction.signals.add(queue)
    return is_due
