"""Interventions in jobs from outside their worker, because an operator or a later event has decided about them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from oms_chassis.db import Transaction
from oms_chassis.jobs.queue import withdraw
from oms_chassis.statements import as_json

_DUE = """
UPDATE job SET run_at = now(), dead_at = NULL WHERE queue = %(queue)s AND subject = %(subject)s RETURNING 1
"""
_OUT_OF_PATIENCE = """
UPDATE job SET run_at = now(), dead_at = NULL, attempts = greatest(attempts, 1),
    failing_since = now() - interval '100 years', failed_calls = greatest(failed_calls, 100)
WHERE queue = %(queue)s AND subject = %(subject)s RETURNING 1
"""
_WAITING = "SELECT 1 FROM job WHERE subject = ANY(%(subjects)s) AND dead_at IS NULL LIMIT 1"
_ERASE = "DELETE FROM job WHERE subject = ANY(%(subjects)s) AND dead_at IS NOT NULL RETURNING 1"
_PAYLOAD = "SELECT payload FROM job WHERE queue = %(queue)s AND id = %(id)s"
# A leased job keeps its lease, so that the outcome of a call that is under way can be settled.
_CHANGE = "UPDATE job SET payload = payload || %(changes)s::jsonb WHERE queue = %(queue)s AND id = ANY(%(ids)s)"


def make_due(transaction: Transaction, queue: str, subject: str) -> bool:
    """Make the jobs about a subject due now, to be called or settled, even those that are dead because they could not
    be settled; False if there are none."""
    transaction.signals.add(queue)
    return bool(transaction.execute(_DUE, queue=queue, subject=subject))


def end_patience(transaction: Transaction, queue: str, subject: str) -> bool:
    """Make the jobs about a subject due now, as if their calls had failed too long and too often, and the outcome of
    the first attempt were unknown; False if there are none."""
    transaction.signals.add(queue)
    return bool(transaction.execute(_OUT_OF_PATIENCE, queue=queue, subject=subject))


def payload(transaction: Transaction, queue: str, job_id: str) -> Mapping[str, Any]:
    """Return the payload of an unsettled job; empty if there is no such job."""
    return next((row.payload for row in transaction.execute(_PAYLOAD, queue=queue, id=job_id)), {})


def end(transaction: Transaction, queue: str, job_ids: Collection[str], changes: Mapping[str, Any]) -> None:
    """Delete jobs that no worker has begun; those whose calls may have been made go on with these changes to their
    payload, so that their outcomes become known."""
    if job_ids and len(withdraw(transaction, queue, job_ids)) < len(job_ids):
        transaction.execute(_CHANGE, queue=queue, ids=list(job_ids), changes=as_json(changes))


def is_waiting(transaction: Transaction, subjects: Sequence[str]) -> bool:
    """Whether there is a live job about one of these subjects."""
    return bool(transaction.execute(_WAITING, subjects=list(subjects)))


def erase_dead(transaction: Transaction, subjects: Sequence[str]) -> int:
    """Delete the dead jobs about these subjects, and return how many there were."""
    return len(transaction.execute(_ERASE, subjects=list(subjects)))
