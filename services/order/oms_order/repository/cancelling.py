"""Orders that are cancelled: what is read and written in the transaction that decides it."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from oms_chassis.db import Transaction

# The order's own time is also moved by refunds and disputes, which change no status, and may come months later.
_AGE = """
SELECT greatest(extract(epoch FROM clock_timestamp() - at), 0)::float AS seconds FROM timeline
WHERE order_id = %(id)s AND refund_id IS NULL AND dispute_id IS NULL ORDER BY position DESC LIMIT 1
"""
_NOTE = """
UPDATE timeline SET note = %(note)s, actor = %(actor)s WHERE order_id = %(id)s AND position = %(position)s
"""
_UNANSWERED = """
SELECT id::text FROM orders
WHERE status <> 'CONFIRMED' AND status = 'CANCELLING' AND facts && '{cancelled,timed-out}'
    AND updated_at < now() - make_interval(secs => %(limit)s) AND id > %(after)s
    AND (%(days)s::float IS NULL OR placed_at > now() - make_interval(secs => %(days)s * 86400))
ORDER BY orders.id LIMIT %(most)s
"""
_WAITING = """
SELECT id::text FROM orders
WHERE status <> 'CONFIRMED' AND status IN ('PENDING', 'PAID') AND updated_at < now() - make_interval(secs => %(limit)s)
ORDER BY orders.id LIMIT %(most)s
"""


def age(transaction: Transaction, order_id: UUID) -> float:
    """For how many seconds the order has had its status; none if the clock has been put back since."""
    return float(transaction.run(_AGE, id=order_id)[0].seconds)


def write_note(transaction: Transaction, order_id: UUID, position: int, note: str | None, actor: str | None) -> None:
    """Keep what was said about a step of the timeline, and by which caller it was taken."""
    transaction.run(_NOTE, id=order_id, position=position, note=note, actor=actor)


def unanswered(transaction: Transaction, limit: float, days: float | None, after: UUID, most: int) -> Sequence[str]:
    """The ids of orders that were called off more than `limit` seconds ago and are not CANCELLED: those after this one,
    so many at most."""
    return [row.id for row in transaction.run(_UNANSWERED, limit=limit, days=days, after=after, most=most)]


def waiting(transaction: Transaction, limit: float, most: int) -> Iterable[str]:
    """The ids of orders that have waited for payment or stock for more than `limit` seconds, so many at most."""
    return [row.id for row in transaction.run(_WAITING, limit=limit, most=most)]
