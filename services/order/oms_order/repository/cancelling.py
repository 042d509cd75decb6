"""Orders that are cancelled: what is read and written in the transaction that decides it."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from oms_chassis.db import Rows, Transaction
from oms_chassis.tables import names
from oms_order.tables import IdempotencyRow, OrderRow

_CUSTOMER = ("name", "email", "phone", "phone_e164")
_LINE = ("item_id", "name", "quantity", "unit_price")
_AGE = """
SELECT extract(epoch FROM clock_timestamp() - updated_at)::float AS seconds FROM orders WHERE id = %(id)s
"""
_CONTENT = f"""
SELECT id::text, {names(OrderRow, *_CUSTOMER)}, total, currency, (
    SELECT json_agg(json_build_object({", ".join(f"'{name}', {name}" for name in _LINE)}) ORDER BY position)
    FROM order_line WHERE order_id = orders.id
) AS lines
FROM orders WHERE id = ANY(%(ids)s::uuid[])
"""
_NOTE = """
UPDATE timeline SET note = %(note)s, actor = %(actor)s WHERE order_id = %(id)s AND position = %(position)s
"""
_KEY = ("scope", "key", "fingerprint", "order_id", "answer")
_FIND_KEY = "SELECT fingerprint, answer FROM idempotency WHERE scope = %(scope)s AND key = %(key)s"
_KEEP_KEY = f"""
INSERT INTO idempotency ({names(IdempotencyRow, *_KEY)})
VALUES (%(scope)s, %(key)s, %(fingerprint)s, %(order_id)s, %(answer)s) ON CONFLICT DO NOTHING RETURNING 1
"""
_UNANSWERED = """
SELECT id::text FROM orders
WHERE status <> 'CONFIRMED' AND status = 'CANCELLING' AND facts && '{cancelled,timed-out}'
    AND updated_at < now() - make_interval(secs => %(limit)s)
ORDER BY id LIMIT %(most)s
"""
_WAITING = """
SELECT id::text FROM orders
WHERE status <> 'CONFIRMED' AND status IN ('PENDING', 'PAID') AND updated_at < now() - make_interval(secs => %(limit)s)
ORDER BY id LIMIT %(most)s
"""


def age(transaction: Transaction, order_id: UUID) -> float:
    """For how many seconds the order has had its status."""
    return float(transaction.run(_AGE, id=order_id)[0].seconds)


def contents(transaction: Transaction, ids: Sequence[str]) -> Rows:
    """Of each of these orders the `id`, the customer's columns, the `total`, the `currency` and the `lines`."""
    return transaction.run(_CONTENT, ids=list(ids))


def write_note(transaction: Transaction, order_id: UUID, position: int, note: str | None, actor: str | None) -> None:
    """Keep what was said about a step of the timeline, and by which caller it was taken."""
    transaction.run(_NOTE, id=order_id, position=position, note=note, actor=actor)


def answer_of(transaction: Transaction, scope: str, key: str) -> Rows:
    """The `fingerprint` and the `answer` that a key has, if it was used."""
    return transaction.run(_FIND_KEY, scope=scope, key=key)


def keep_answer(transaction: Transaction, scope: str, key: str, fingerprint: str, order_id: UUID, answer: str) -> bool:
    """Keep the answer of a key; False if it was used for something else at the same time."""
    kept = transaction.run(_KEEP_KEY, scope=scope, key=key, fingerprint=fingerprint, order_id=order_id, answer=answer)
    return bool(kept)


def unanswered(transaction: Transaction, limit: float, most: int) -> Iterable[str]:
    """The ids of orders that were called off more than `limit` seconds ago and are not CANCELLED, so many at most."""
    return [row.id for row in transaction.run(_UNANSWERED, limit=limit, most=most)]


def waiting(transaction: Transaction, limit: float, most: int) -> Iterable[str]:
    """The ids of orders that have waited for payment or stock for more than `limit` seconds, so many at most."""
    return [row.id for row in transaction.run(_WAITING, limit=limit, most=most)]
