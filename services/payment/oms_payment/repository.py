"""The statements that read and write payments: each takes a whole batch."""

from collections.abc import Iterable
from dataclasses import asdict

from oms_chassis.db import Transaction
from oms_chassis.tables import assigned, names, typed
from oms_contracts.events import OrderEvent
from oms_payment.domain import Payment, State
from oms_payment.tables import PaymentRow

_OPENED = ("order_id", "amount", "currency")
_CHANGING = ("state", "charge_id", "refund_id", "reason")
_INSERT = f"""
INSERT INTO payment (state, {names(PaymentRow, *_OPENED)})
SELECT %(state)s, {names(PaymentRow, *_OPENED)}
FROM json_to_recordset(%(rows)s::json) AS r({typed(PaymentRow, *_OPENED)})
ON CONFLICT (order_id) DO NOTHING RETURNING order_id
"""
# In the order of the key, so that two batches that share orders wait for each other instead of deadlocking.
_LOCK = f"""
SELECT {names(PaymentRow, "order_id", *_CHANGING)} FROM payment
WHERE order_id = ANY(%(orders)s) ORDER BY order_id FOR UPDATE
"""
_UPDATE = f"""
UPDATE payment AS p SET {assigned(PaymentRow, *_CHANGING, of="r")}, updated_at = now()
FROM json_to_recordset(%(rows)s::json) AS r({typed(PaymentRow, "order_id", *_CHANGING)})
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
