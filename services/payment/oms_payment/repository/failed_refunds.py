"""Refunds that the gateway says have failed, and of which it is written here that they succeeded; and those that were
found so before."""

from collections.abc import Iterable

from oms_chassis.db import Transaction
from oms_chassis.statements import Rows
from oms_chassis.tables import names
from oms_gateway import FailedRefund, charged_order
from oms_payment.tables import RequestedRefundRow

# By the order first: the gateway's ids have no index. A payment that somebody holds is found by the next look.
_AFFECTED = """
WITH affected AS (
    SELECT order_id, bool_or(whole) AS whole FROM (
        SELECT r.order_id, EXISTS (
            SELECT FROM payment WHERE payment.order_id = r.order_id AND state = 'REFUNDED' AND payment.refund_id = r.id
        ) AS whole, EXISTS (
            SELECT FROM requested_refund refund
            WHERE refund.order_id = r.order_id AND refund.state = 'SUCCEEDED' AND refund.reference = r.id
        ) AS part FROM json_to_recordset(%(rows)s::json) AS r(order_id text, id text)
    ) AS found WHERE whole OR part GROUP BY order_id
)
SELECT order_id, whole FROM payment JOIN affected USING (order_id)
ORDER BY order_id FOR UPDATE OF payment SKIP LOCKED
"""
# Those of which this look is the first, the second, the fourth, the eighth and so on since they have failed.
_DUE_AGAIN = f"""
SELECT {names(RequestedRefundRow)} FROM (
    SELECT *, floor(extract(epoch FROM now() - updated_at) / %(every)s)::bigint AS looks FROM requested_refund
    WHERE state = 'FAILED' AND outcome > 1 AND updated_at > now() - make_interval(secs => %(days)s * 86400)
) AS failed
WHERE looks > 0 AND looks & (looks - 1) = 0
"""


def affected(transaction: Transaction, failed: Iterable[FailedRefund]) -> Rows:
    """The orders of which one of these refunds is written down as made, and whether that is all their money. Nobody
    else changes their payments until this transaction ends."""
    rows = ({"order_id": charged_order(one.key), "id": one.id} for one in failed)
    return transaction.execute_rows(_AFFECTED, rows)


def due_again(transaction: Transaction, every: float, days: float) -> Rows:
    """Refunds of confirmed orders that have failed after they had succeeded, of which that is to be published again, if
    somebody looks every so many seconds: for so many days."""
    return transaction.execute(_DUE_AGAIN, every=every, days=days)
