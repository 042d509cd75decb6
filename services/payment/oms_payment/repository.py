"""The statements that read and write payments: each takes a whole batch."""

from collections.abc import Iterable
from dataclasses import asdict

from oms_chassis.db import Transaction
from oms_contracts.events import OrderEvent
from oms_payment.domain import Payment, State

_INSERT = """
INSERT INTO payment (order_id, state, amount, currency)
SELECT order_id, %(state)s, amount, currency
FROM json_to_recordset(%(rows)s::json) AS r(order_id text, amount bigint, currency text)
ON CONFLICT (order_id) DO NOTHING RETURNING order_id
"""
# In the order of the key, so that two batches that share orders wait for each other instead of deadlocking.
_LOCK = """
SELECT order_id, state, charge_id, refund_id, reason FROM payment
WHERE order_id = ANY(%(orders)s) ORDER BY order_id FOR UPDATE
"""
_UPDATE = """
UPDATE payment AS p
SET state = r.state, charge_id = r.charge_id, refund_id = r.refund_id, reason = r.reason, updated_at = now()
FROM json_to_recordset(%(rows)s::json)
    AS r(order_id text, state text, charge_id text, refund_id text, reason text)
WHERE p.order_id = r.order_id
"""


def insert(transaction: Transaction, orders: Iterable[OrderEvent], state: State) -> set[str]:
    """Open payments for the orders that have none; the ids of those."""
    rows = ({"order_id": order.order_id, "amount": order.total, "currency": order.currency} for order in orders)
    return {row.order_id for row in transaction.run_rows(_INSERT, rows, state=state.value)}


def lock(transaction: Transaction, orders: Iterable[str]) -> list[Payment]:
    """The payments of these orders, nobody else's to change until this transaction ends."""
    rows = transaction.run(_LOCK, orders=list(orders))
    return [Payment(row.order_id, State(row.state), row.charge_id, row.refund_id, row.reason) for row in rows]


def update(transaction: Transaction, payments: Iterable[Payment]) -> None:
    """Write payments that were locked before."""
    transaction.run_rows(_UPDATE, (asdict(payment) for payment in payments))
