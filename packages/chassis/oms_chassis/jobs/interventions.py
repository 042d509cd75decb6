"""What is done to the jobs about a subject from outside their worker: an operator has decided about them."""

from collections.abc import Sequence

from oms_chassis.db import Transaction

_DUE = """
UPDATE job SET run_at = now() WHERE queue = %(queue)s AND subject = %(subject)s AND dead_at IS NULL RETURNING 1
"""
_OUT_OF_PATIENCE = """
UPDATE job SET run_at = now(), dead_at = NULL, attempts = greatest(attempts, 1),
    failing_since = now() - interval '100 years', failed_calls = greatest(failed_calls, 100)
WHERE queue = %(queue)s AND subject = %(subject)s RETURNING 1
"""
_WAITING = "SELECT 1 FROM job WHERE subject = ANY(%(subjects)s) AND dead_at IS NULL LIMIT 1"
_ERASE = "DELETE FROM job WHERE subject = ANY(%(subjects)s) AND dead_at IS NOT NULL RETURNING 1"
_DROP_ONE = "DELETE FROM job WHERE queue = %(queue)s AND id = %(id)s"
_DROP = "DELETE FROM job WHERE queue = %(queue)s AND subject = %(subject)s"


def make_due(transaction: Transaction, queue: str, subject: str) -> bool:
    """Have the calls about a subject made at once; False if none is waited for."""
    transaction.signals.add(queue)
    return bool(transaction.run(_DUE, queue=queue, subject=subject))


def end_patience(transaction: Transaction, queue: str, subject: str) -> bool:
    """Have the calls about a subject made at once, as calls that have failed for longer and more often than anybody has
    patience, and whose first attempt's outcome is not known; False if there are none."""
    transaction.signals.add(queue)
    return bool(transaction.run(_OUT_OF_PATIENCE, queue=queue, subject=subject))


def drop(transaction: Transaction, queue: str, subject: str) -> None:
    """Make no further call about a subject. The outcome of one that is under way is not settled."""
    transaction.run(_DROP, queue=queue, subject=subject)


def drop_one(transaction: Transaction, queue: str, job_id: str) -> None:
    """Make one call no more, as `drop` does with all about a subject."""
    transaction.run(_DROP_ONE, queue=queue, id=job_id)


def is_waiting(transaction: Transaction, subjects: Sequence[str]) -> bool:
    """Whether a call about one of these subjects is still to be made."""
    return bool(transaction.run(_WAITING, subjects=list(subjects)))


def erase_dead(transaction: Transaction, subjects: Sequence[str]) -> int:
    """Delete the jobs about these subjects that were given up; how many there were."""
    return len(transaction.run(_ERASE, subjects=list(subjects)))
