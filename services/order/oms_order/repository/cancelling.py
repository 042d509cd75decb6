"""Orders that are cancelled: what is read and written in the transaction that decides it."""

from collections.abc import Sequence
from uuid import UUID

from oms_chassis.db import Transaction
from oms_order.domain import Status
from oms_order.repository import open_orders

# The order's own time is also moved by refunds and disputes, which change no status, and may come months later.
_AGE = """
SELECT greatest(extract(epoch FROM clock_timestamp() - at), 0)::float AS seconds FROM timeline
WHERE order_id = %(id)s AND refund_id IS NULL AND dispute_id IS NULL ORDER BY position DESC LIMIT 1
"""
_NOTE = """
UPDATE timeline SET note = %(note)s, actor = %(actor)s WHERE order_id = %(id)s AND position = %(position)s
"""
_LATE = "updated_at < now() - make_interval(secs => %(limit)s)"
_CALLED_OFF = f"""
facts && '{{cancelled,timed-out}}' AND {_LATE}
    AND (%(days)s::float IS NULL OR placed_at > now() - make_interval(secs => %(days)s * 86400))
"""
_UNANSWERED = open_orders.page({Status.CANCELLING: _CALLED_OFF})
_WAITING = open_orders.page({Status.PENDING: _LATE, Status.PAID: _LATE})


def age(transaction: Transaction, order_id: UUID) -> float:
    """For how many seconds the order has had its status; none if the clock has been put back since."""
    return float(transaction.execute(_AGE, id=order_id)[0].seconds)


def write_note(transaction: Transaction, order_id: UUID, position: int, note: str | None, actor: str | None) -> None:
    """Keep what was said about a step of the timeline, and by which caller it was taken."""
    transaction.execute(_NOTE, id=order_id, position=position, note=note, actor=actor)


def unanswered(transaction: Transaction, limit: float, days: float | None, after: UUID, most: int) -> Sequence[str]:
    """The ids of orders that were called off more than `limit` seconds ago and are not CANCELLED: those after this one,
    so many at most."""
    return [row.id for row in transaction.execute(_UNANSWERED, limit=limit, days=days, after=after, most=most)]


def waiting(transaction: Transaction, limit: float, after: UUID, most: int) -> Sequence[str]:
    """The ids of orders that have waited for payment or stock for more than `limit` seconds: those after this one, so
    many at most."""
    return [row.id for row in transaction.execute(_WAITING, limit=limit, after=after, most=most)]
