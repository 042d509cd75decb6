"""Refunds of confirmed orders. An order's row is locked before those of its refunds."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from oms_chassis.db import Database, Transaction
from oms_chassis.statements import Rows
from oms_chassis.tables import names, typed
from oms_order.tables import RefundRow

_ASKED = ("id", "order_id", "amount", "lines", "restock", "status", "reason", "actor")
_REQUEST = "id::text, order_id::text, amount, lines, restock, status, outcome"
_OF_ORDER = "SELECT amount, status, lines FROM refund WHERE order_id = %(order)s ORDER BY id"
_FIND = f"SELECT {_REQUEST} FROM refund WHERE id = ANY(%(ids)s::uuid[]) ORDER BY refund.id FOR UPDATE"
_OPEN = "status <> 'SUCCEEDED'"  # as in the partial index, which pages of refunds are read from
# Each question about a failed refund waits twice as long as the one before.
_UNANSWERED = f"""
SELECT {_REQUEST} FROM refund
WHERE {_OPEN} AND id > %(after)s AND (
    status = 'PENDING' AND requested_at < now() - make_interval(secs => %(limit)s)
    OR status = 'FAILED' AND settled_at < now() - make_interval(secs => %(limit)s * 2.0 ^ asked)
)
AND (%(days)s::float IS NULL OR (
    SELECT placed_at FROM orders WHERE orders.id = refund.order_id) > now() - make_interval(secs => %(days)s * 86400))
ORDER BY refund.id LIMIT %(most)s
"""
# Refunds whose outcome is being written at this moment are left out.
_ASKED_ABOUT = """
UPDATE refund SET asked = asked + 1 FROM (
    SELECT id FROM refund WHERE id = ANY(%(ids)s::uuid[]) AND status = 'FAILED' ORDER BY id FOR UPDATE SKIP LOCKED
) AS free
WHERE refund.id = free.id
"""
_COUNT_UNANSWERED = """
SELECT count(*) AS refunds FROM refund
WHERE status = 'PENDING' AND requested_at < now() - make_interval(secs => %(limit)s)
"""
# For a `refund` joined to `orders`. A failed refund is open only while the order has that much left: if it has not,
# the money went back in another way, or the customer's bank took it back.
FITS = """
refund.amount <= orders.total - (
    SELECT coalesce(sum(other.amount), 0) FROM refund AS other
    WHERE other.order_id = orders.id AND other.status <> 'FAILED'
) - (SELECT coalesce(sum(disputed), 0) FROM timeline AS step WHERE step.order_id = orders.id)
"""
_HELD = f"""
SELECT refund.id::text, order_id::text, amount, orders.currency, refund.status, failure,
    coalesce(settled_at, requested_at) AS since
FROM refund JOIN orders ON orders.id = refund.order_id
WHERE refund.id > %(after)s AND refund.{_OPEN} AND (
    refund.status = 'PENDING' AND requested_at < now() - make_interval(secs => %(limit)s)
    OR refund.status = 'FAILED' AND {FITS}
)
ORDER BY refund.id LIMIT %(most)s
"""
_INSERT = f"""
INSERT INTO refund ({names(RefundRow, *_ASKED)})
SELECT {names(RefundRow, *_ASKED)} FROM json_to_recordset(%(rows)s::json) AS r({typed(RefundRow, *_ASKED)})
"""
_SHOWN = f"SELECT {names(RefundRow)} FROM refund WHERE id = %(id)s"
_SETTLE = """
UPDATE refund SET status = r.status, failure = r.failure, settled_at = clock_timestamp(),
    outcome = coalesce(r.outcome, refund.outcome), asked = 0
FROM json_to_recordset(%(rows)s::json) AS r(id uuid, status text, failure text, outcome int) WHERE refund.id = r.id
"""


def exist(transaction: Transaction, order_id: UUID) -> bool:
    """Whether a refund of the order was requested, whatever its outcome."""
    return bool(of_order(transaction, order_id))


def of_order(transaction: Transaction, order_id: UUID) -> Rows:
    """Return the `amount`, `status` and `lines` of each refund of a locked order."""
    return transaction.execute(_OF_ORDER, order=order_id)


def insert(transaction: Transaction, refund: Mapping[str, object]) -> Rows:
    """Write a requested refund and return its row."""
    transaction.execute_rows(_INSERT, [refund])
    return transaction.execute(_SHOWN, id=refund["id"])


def find(transaction: Transaction, ids: Iterable[str]) -> Rows:
    """Lock and return those of these refunds that exist, with what was requested. Their orders must be locked."""
    return transaction.execute(_FIND, ids=list(ids))


def unanswered(transaction: Transaction, limit: float, days: float | None, after: UUID, most: int) -> Rows:
    """Return at most `most` refunds after `after`, with what was requested: those that have been PENDING for more than
    `limit` seconds, and failed ones that payment is to be asked about. Orders older than `days` are left out."""
    return transaction.execute(_UNANSWERED, limit=limit, days=days, after=after, most=most)


def count_questions(transaction: Transaction, ids: Sequence[str]) -> None:
    """Count another question to payment about those of these refunds that have failed."""
    if ids:
        transaction.execute(_ASKED_ABOUT, ids=list(ids))


def count_unanswered(database: Database, limit: float) -> int:
    """Return how many refunds have been PENDING for more than `limit` seconds."""
    return int(database.execute(_COUNT_UNANSWERED, limit=limit)[0].refunds)


def held(database: Database, limit: float, after: UUID, most: int) -> Rows:
    """Return at most `most` refunds after `after`, in the order of their ids: those that have been PENDING for more
    than `limit` seconds, and failed ones that could still be made."""
    return database.execute(_HELD, limit=limit, after=after, most=most)


def settle(transaction: Transaction, outcomes: Sequence[Mapping[str, object]]) -> None:
    """Write the outcomes of refunds: `id`, `status`, `outcome`, and the `failure` of a failed one."""
    transaction.execute_rows(_SETTLE, outcomes)
