"""The answers of commands on an order, by idempotency key."""

from uuid import UUID

from oms_chassis.db import Transaction
from oms_chassis.statements import Rows
from oms_chassis.tables import names
from oms_order.tables import IdempotencyRow

_KEY = ("scope", "key", "fingerprint", "order_id", "answer")
_FIND = "SELECT fingerprint, answer FROM idempotency WHERE scope = %(scope)s AND key = %(key)s"
_KEEP = f"""
INSERT INTO idempotency ({names(IdempotencyRow, *_KEY)})
VALUES (%(scope)s, %(key)s, %(fingerprint)s, %(order_id)s, %(answer)s) ON CONFLICT DO NOTHING RETURNING 1
"""


def find(transaction: Transaction, scope: str, key: str) -> Rows:
    """Return the `fingerprint` and the `answer` of a key, if it was used."""
    return transaction.execute(_FIND, scope=scope, key=key)


def keep(transaction: Transaction, scope: str, key: str, fingerprint: str, order_id: UUID, answer: str) -> bool:
    """Store the answer of a key. Return False if the key was used for something else at the same time."""
    kept = transaction.execute(_KEEP, scope=scope, key=key, fingerprint=fingerprint, order_id=order_id, answer=answer)
    return bool(kept)
