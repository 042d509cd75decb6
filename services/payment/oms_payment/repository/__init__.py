"""The statements that read and write payments: each takes a whole batch."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row

from oms_chassis.db import Database, Rows, Transaction
from oms_chassis.laterreleases import OfLaterRelease, known
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
_ROW = f"""{names(PaymentRow)}, (
    SELECT json_agg(refund ORDER BY created_at, refund_id) FROM requested_refund refund
    WHERE refund.order_id = payment.order_id
) AS refunds, (SELECT sum(amount)::bigint FROM dispute WHERE dispute.order_id = payment.order_id) AS disputed"""
_OPEN = """
SELECT order_id FROM requested_refund
WHERE state <> 'SUCCEEDED' AND (%(reason)s::text IS NULL OR reason = %(reason)s)
"""
_PAGE = f"""
SELECT {_ROW} FROM payment
WHERE order_id > %(after)s AND (
    (%(states)s::text[] IS NULL OR state = ANY(%(states)s)) AND (%(reason)s::text IS NULL OR reason = %(reason)s)
    OR %(with_refunds)s AND order_id IN ({_OPEN})
)
ORDER BY order_id LIMIT %(limit)s
"""
_FIND = f"SELECT {_ROW} FROM payment WHERE order_id = %(order)s FOR UPDATE OF payment"
_STATES = "SELECT order_id, state FROM payment WHERE order_id = ANY(%(orders)s)"


def insert(transaction: Transaction, orders: Iterable[OrderEvent], state: State) -> set[str]:
    """Open payments for the orders that have none; the ids of those."""
    rows = ({"order_id": order.order_id, "amount": order.total, "currency": order.currency} for order in orders)
    return {row.order_id for row in transaction.run_rows(_INSERT, rows, state=state.value)}


def lock(transaction: Transaction, orders: Iterable[str]) -> list[Payment]:
    """The payments of these orders, nobody else's to change until this transaction ends.

    Raises OfLaterRelease: what an event or an answer means for a payment in a state that is not known here is about
    money, and neither passed over nor guessed.
    """
    return [_payment(row) for row in transaction.run(_LOCK, orders=list(orders))]


def update(transaction: Transaction, payments: Iterable[Payment]) -> None:
    """Write payments that were locked before."""
    transaction.run_rows(_UPDATE, (vars(payment) for payment in payments))


def page(
    database: Database,
    states: Sequence[str] | None,
    reason: str | None,
    after: str,
    limit: int,
    *,
    with_refunds: bool = False,
) -> Rows:
    """Payments in these states (None: in any), in the order of their orders' ids: those after this one. With
    `with_refunds`, those, too, of which a refund that was asked for is open."""
    return database.execute(
        _PAGE, states=states and list(states), reason=reason, after=after, limit=limit, with_refunds=with_refunds
    )


def find(transaction: Transaction, order_id: str) -> Rows:
    """The order's payment with its `refunds`, if there is one; nobody else changes it until this transaction ends."""
    return transaction.run(_FIND, order=order_id)


def states(database: Database, orders: Sequence[str]) -> dict[str, str]:
    """The states of these orders' payments, where there are any."""
    return {row.order_id: row.state for row in database.execute(_STATES, orders=list(orders))}


def _payment(row: Row[Any]) -> Payment:
    state = known(State, row.state)
    if not isinstance(state, State):
        raise OfLaterRelease
    return Payment(row.order_id, state, row.charge_id, row.refund_id, row.reason)
