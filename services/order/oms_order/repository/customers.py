"""Finds the orders of a customer, and erases the customer from them. What was ordered and paid stays, so that the
books add up."""

from collections.abc import Iterable, Sequence

from oms_chassis.db import Database, Transaction
from oms_chassis.statements import Rows
from oms_order.tables import PERSONAL

_FIND = """
SELECT id::text, status, name, email, phone, phone_e164 FROM orders
WHERE lower(email) = lower(%(email)s) ORDER BY orders.id
"""
READ_WITHIN_DAYS = 9  # topics keep events for eight days and some minutes
# A refund that has succeeded was announced, whatever happened to it since; the refund of a cancelled order was not.
_ANNOUNCED = """
SELECT order_id::text AS id, order_id::text FROM timeline
WHERE order_id = ANY(%(ids)s::uuid[]) AND refund_id IS NULL AND dispute_id IS NULL
    AND status IN ('CONFIRMED', 'CANCELLED') AND at > now() - make_interval(days => %(days)s)
UNION SELECT refund_id::text, order_id::text FROM timeline
WHERE order_id = ANY(%(ids)s::uuid[]) AND refund_status = 'SUCCEEDED' AND at > now() - make_interval(days => %(days)s)
    AND EXISTS (SELECT FROM refund WHERE refund.id = timeline.refund_id)
"""
_ERASE = f"""
UPDATE orders SET {", ".join(f"{column} = %({column})s" for column in PERSONAL)}
WHERE id = ANY(%(ids)s::uuid[]) AND (email <> %(email)s OR owner IS NOT NULL) RETURNING 1
"""
_LOCK = """
SELECT 1 FROM (SELECT status FROM orders WHERE id = ANY(%(ids)s::uuid[]) ORDER BY id FOR UPDATE) AS theirs
WHERE status NOT IN ('CONFIRMED', 'CANCELLED')
UNION ALL SELECT 1 FROM refund WHERE order_id = ANY(%(ids)s::uuid[]) AND status = 'PENDING' LIMIT 1
"""
_NOTES = "UPDATE timeline SET note = NULL WHERE order_id = ANY(%(ids)s::uuid[]) AND note IS NOT NULL"
_CALLERS = [
    f"""
    UPDATE {table} SET actor = NULL FROM orders
    WHERE orders.id = ANY(%(ids)s::uuid[]) AND {table}.order_id = orders.id AND {table}.actor = orders.owner
    """
    for table in ("timeline", "refund")
]
_REASONS = "UPDATE refund SET reason = NULL WHERE order_id = ANY(%(ids)s::uuid[]) AND reason IS NOT NULL"
_ANSWERS = "DELETE FROM idempotency WHERE order_id = ANY(%(ids)s::uuid[])"


def find(database: Database, email: str) -> Rows:
    """Return the orders of this email address, in upper or lower case, with the customer's data."""
    return database.execute(_FIND, email=email)


def announced(database: Database, ids: Iterable[str]) -> dict[str, str]:
    """Return those of these orders and of their refunds, each with its order, that ended so recently that a topic may
    still have an unread event about it."""
    rows = database.execute(_ANNOUNCED, ids=list(ids), days=READ_WITHIN_DAYS)
    return {row.id: row.order_id for row in rows}


def are_under_way(transaction: Transaction, ids: Sequence[str]) -> bool:
    """Whether one of these orders has not ended, or is being refunded. They are locked until the transaction ends."""
    return bool(transaction.execute(_LOCK, ids=list(ids)))


def erase(transaction: Transaction, ids: Sequence[str]) -> int:
    """Erase from these orders the customer, the caller that placed them (also in timelines and refunds), the notes, the
    reasons of refunds, and the answers that idempotency keys replay. Return the number of orders that still had a
    customer. A request that is repeated with its key is a new one from then on."""
    for statement in (_NOTES, _REASONS, *_CALLERS, _ANSWERS):
        transaction.execute(statement, ids=list(ids))
    return len(transaction.execute(_ERASE, ids=list(ids), **PERSONAL))
