"""The statements for payments. Each takes a whole batch."""

from collections.abc import Iterable, Sequence

from oms_chassis.db import Database, Transaction
from oms_chassis.laterreleases import OfLaterRelease, known
from oms_chassis.statements import Row, Rows
from oms_chassis.tables import assigned, names, typed
from oms_contracts.events import OrderEvent
from oms_payment.domain import Payment, State
from oms_payment.repository.refunds import IS_OPEN
from oms_payment.tables import PaymentRow

_OPENED = ("order_id", "amount", "currency")
_CHANGING = ("state", "charge_id", "refund_id", "reason", "outcome")
_INSERT = f"""
INSERT INTO payment (state, {names(PaymentRow, *_OPENED)})
SELECT %(state)s, {names(PaymentRow, *_OPENED)}
FROM json_to_recordset(%(rows)s::json) AS r({typed(PaymentRow, *_OPENED)})
ON CONFLICT (order_id) DO NOTHING RETURNING order_id
"""
# Sorted by key, so that two batches that share orders do not deadlock.
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
# At most `limit` orders are looked up for each state, and as many with an open refund, each by its own index.
_WITH_REASON = "order_id > %(after)s AND (%(reason)s::text IS NULL OR reason = %(reason)s)"
_OF_PAYMENTS = f"(SELECT order_id FROM payment WHERE {{state}} AND {_WITH_REASON} ORDER BY order_id LIMIT %(limit)s)"
_OF_REFUNDS = f"""
(SELECT DISTINCT order_id FROM requested_refund AS refund WHERE {IS_OPEN} AND {_WITH_REASON}
ORDER BY order_id LIMIT %(limit)s)
"""
_PAGE = f"""
SELECT {_ROW} FROM payment
WHERE order_id = ANY(ARRAY(SELECT order_id FROM ({{found}}) AS found ORDER BY order_id LIMIT %(limit)s))
ORDER BY order_id
"""
_FIND = f"SELECT {_ROW} FROM payment WHERE order_id = %(order)s FOR UPDATE OF payment"
_STATES = """
SELECT order_id AS id, state FROM payment WHERE order_id = ANY(%(ids)s)
UNION ALL SELECT refund_id, state FROM requested_refund WHERE refund_id = ANY(%(ids)s)
"""


def insert(transaction: Transaction, orders: Iterable[OrderEvent], state: State) -> set[str]:
    """Insert payments for the orders that have none; returns the ids of those orders."""
    rows = ({"order_id": order.order_id, "amount": order.total, "currency": order.currency} for order in orders)
    return {row.order_id for row in transaction.execute_rows(_INSERT, rows, state=state.value)}


def lock(transaction: Transaction, orders: Iterable[str]) -> list[Payment]:
    """Lock the payments of these orders until this transaction ends.

    Raises OfLaterRelease if a payment is in an unknown state: what an event means for it concerns money, and must be
    neither ignored nor guessed.
    """
    return [_payment(row) for row in transaction.execute(_LOCK, orders=list(orders))]


def update(transaction: Transaction, payments: Iterable[Payment]) -> None:
    """Write payments that are locked."""
    transaction.execute_rows(_UPDATE, (vars(payment) for payment in payments))


def page(
    database: Database,
    states: Iterable[str] | None,
    reason: str | None,
    after: str,
    limit: int,
    *,
    with_refunds: bool = False,
) -> Rows:
    """Payments in these states (None: in any), sorted by the ids of their orders, after this one. With `with_refunds`,
    also those with an open refund."""
    # Written out, as in the index of few states: the plan of a prepared statement knows no parameter.
    conditions = ["true"] if states is None else [f"state = '{State(state).value}'" for state in states]
    parts = [_OF_PAYMENTS.format(state=one) for one in conditions] + [_OF_REFUNDS] * with_refunds
    return database.execute(_PAGE.format(found=" UNION ".join(parts)), reason=reason, after=after, limit=limit)


def find(transaction: Transaction, order_id: str) -> Rows:
    """Lock the order's payment until this transaction ends; it, with its `refunds`, if there is one."""
    return transaction.execute(_FIND, order=order_id)


def states(database: Database, subjects: Sequence[str]) -> dict[str, str]:
    """Return the states of these orders' payments and of these refunds of confirmed orders, as far as they exist."""
    return {row.id: row.state for row in database.execute(_STATES, ids=list(subjects))}


def _payment(row: Row) -> Payment:
    state = known(State, row.state)
    if not isinstance(state, State):
        raise OfLaterRelease
    return Payment(row.order_id, state, row.charge_id, row.refund_id, row.reason, row.outcome)
