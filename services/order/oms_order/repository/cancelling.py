"""What the cancellation of an order reads and writes in its transaction, and the orders that the sweeps find."""

from collections.abc import Sequence
from uuid import UUID

from oms_chassis.db import Transaction
from oms_order.domain import Status
from oms_order.repository import open_orders

# Not `updated_at` of the order: refunds and disputes, perhaps months later, also move it without changing the status.
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
    """Return for how many seconds the order has had its status; 0 if the clock has been set back since."""
    return float(transaction.execute(_AGE, id=order_id)[0].seconds)


def write_note(transaction: Transaction, order_id: UUID, position: int, note: str | None, actor: str | None) -> None:
    """Add the caller's note to a step of the timeline, and the caller whose request led to it."""
    transaction.execute(_NOTE, id=order_id, position=position, note=note, actor=actor)


def unanswered(transaction: Transaction, limit: float, days: float | None, after: UUID, most: int) -> Sequence[str]:
    """Return the ids of at most `most` orders after `after` whose cancellation was decided more than `limit` seconds
    ago and that are not CANCELLED yet."""
    return [row.id for row in transaction.execute(_UNANSWERED, limit=limit, days=days, after=after, most=most)]


def waiting(transaction: Transaction, limit: float, after: UUID, most: int) -> Sequence[str]:
    """Return the ids of at most `most` orders after `after` that have waited for payment or stock for more than `limit`
    seconds."""
    return [row.id for row in transaction.execute(_WAITING, limit=limit, after=after, most=most)]
