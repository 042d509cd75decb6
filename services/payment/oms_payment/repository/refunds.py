"""The statements for requested refunds. A payment's row is locked before those of its refunds."""

from collections.abc import Iterable, Mapping

from oms_chassis.db import Transaction
from oms_chassis.laterreleases import OfLaterRelease, known
from oms_chassis.statements import Rows
from oms_chassis.tables import names, typed
from oms_contracts.events import OrderRefundRequested
from oms_payment.domain import Charged, RefundState, State
from oms_payment.tables import RequestedRefundRow

_REQUEST = ("refund_id", "order_id", "amount", "currency")
_ASKED = (*_REQUEST, "state", "reason")
_OUTCOME = ("refund_id", "state", "reason", "reference")
_LOCK_PAYMENTS = """
SELECT order_id, state, amount, currency, charge_id,
    (SELECT coalesce(sum(amount), 0)::bigint FROM dispute WHERE dispute.order_id = payment.order_id) AS disputed
FROM payment
WHERE order_id = ANY(%(orders)s) ORDER BY order_id FOR UPDATE
"""
# A separate statement after the lock, so that it sees all refunds that were committed before.
_OF_ORDERS = f"""
SELECT {names(RequestedRefundRow)} FROM requested_refund WHERE order_id = ANY(%(orders)s) ORDER BY created_at, refund_id
"""
_INSERT = f"""
INSERT INTO requested_refund ({names(RequestedRefundRow, *_ASKED)})
SELECT {names(RequestedRefundRow, *_ASKED)}
FROM json_to_recordset(%(rows)s::json) AS r({typed(RequestedRefundRow, *_ASKED)})
"""
_SETTLE = f"""
UPDATE requested_refund AS kept SET state = r.state, reason = r.reason, reference = r.reference, updated_at = now(),
    outcome = kept.outcome + (r.state <> 'PENDING')::int
FROM json_to_recordset(%(rows)s::json) AS r({typed(RequestedRefundRow, *_OUTCOME)})
WHERE kept.refund_id = r.refund_id AND kept.state = ANY(%(before)s)
RETURNING {names(RequestedRefundRow, of="kept")}
"""
# A condition on `refund`, equivalent to domain.refusal: a failed refund is open as long as it could still be made.
# After that, the money was returned by another refund, or to the customer's bank.
IS_OPEN = """
refund.state <> 'SUCCEEDED' AND (refund.state <> 'FAILED' OR refund.amount <= (
    SELECT charged.amount - (
        SELECT coalesce(sum(other.amount), 0) FROM requested_refund AS other
        WHERE other.order_id = charged.order_id AND other.state <> 'FAILED'
    ) - (SELECT coalesce(sum(dispute.amount), 0) FROM dispute WHERE dispute.order_id = charged.order_id)
    FROM payment AS charged
    WHERE charged.order_id = refund.order_id AND charged.state = 'COMPLETED' AND charged.currency = refund.currency
))
"""


class Books:
    """The locked payments of some orders, with their requested refunds."""

    def __init__(self, payments: Rows, refunds: Rows) -> None:
        self._payments = {row.order_id: row for row in payments}
        self.refunds = {row.refund_id: row for row in refunds}
        self._given = {row.order_id: row.disputed for row in payments}  # what has gone back already
        for row in refunds:
            self.give(row.order_id, 0 if row.state == "FAILED" else row.amount)

    def give(self, order_id: str, amount: int) -> None:
        """Count this amount as refunded."""
        self._given[order_id] = self._given.get(order_id, 0) + amount

    def charged(self, order_id: str) -> Charged | None:
        """What was charged for an order, and how much of it is refunded. Raises OfLaterRelease."""
        row = self._payments.get(order_id)
        if row is None:
            return None
        state = known(State, row.state)
        if not isinstance(state, State):
            raise OfLaterRelease
        return Charged(state, row.amount, row.currency, self._given[order_id])

    def charge_id(self, order_id: str) -> str:
        """Return the charge of an order that has one."""
        return str(self._payments[order_id].charge_id)


def lock(transaction: Transaction, orders: Iterable[str]) -> Books:
    """Lock the payments of these orders until this transaction ends."""
    ids = list(orders)
    payments = transaction.execute(_LOCK_PAYMENTS, orders=ids)
    return Books(payments, transaction.execute(_OF_ORDERS, orders=ids))


def insert(transaction: Transaction, asked: Iterable[tuple[OrderRefundRequested, str, str | None]]) -> None:
    """Insert new refunds: the request, the state, and the reason if it has failed."""
    rows = (
        {**{name: getattr(refund, name) for name in _REQUEST}, "state": state, "reason": reason}
        for refund, state, reason in asked
    )
    transaction.execute_rows(_INSERT, rows)


def settle(transaction: Transaction, outcomes: Iterable[Mapping[str, object]], *before: RefundState) -> Rows:
    """Write the outcomes of refunds that are PENDING, or in one of the states `before`; returns those."""
    rows = ({"reason": None, "reference": None, **outcome} for outcome in outcomes)
    return transaction.execute_rows(_SETTLE, rows, before=[RefundState.PENDING, *before])
