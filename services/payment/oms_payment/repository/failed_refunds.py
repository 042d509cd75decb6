"""The statements for refunds that failed at the gateway after they had been recorded as succeeded."""

from collections.abc import Iterable

from oms_chassis.db import Transaction
from oms_chassis.statements import Rows
from oms_chassis.tables import names
from oms_gateway import FailedRefund, charged_order
from oms_payment.tables import RequestedRefundRow

# By order first, since the gateway's ids have no index. A locked payment is found by the next poll.
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
# Those for which this is the first, second, fourth, eighth poll and so on since they failed.
_DUE_AGAIN = f"""
SELECT {names(RequestedRefundRow)} FROM (
    SELECT *, floor(extract(epoch FROM now() - updated_at) / %(every)s)::bigint AS looks FROM requested_refund
    WHERE state = 'FAILED' AND outcome > 1 AND updated_at > now() - make_interval(secs => %(days)s * 86400)
) AS failed
WHERE looks > 0 AND looks & (looks - 1) = 0
"""


def affected(transaction: Transaction, failed: Iterable[FailedRefund]) -> Rows:
    """Lock the payments of which one of these refunds is recorded as succeeded, until this transaction ends; returns
    their orders, and whether it is the refund of the whole payment."""
    rows = ({"order_id": charged_order(one.key), "id": one.id} for one in failed)
    return transaction.execute_rows(_AFFECTED, rows)


def due_again(transaction: Transaction, every: float, days: float) -> Rows:
    """Refunds of confirmed orders whose failure after a success is to be published again, for so many days, given a
    poll every so many seconds."""
    return transaction.execute(_DUE_AGAIN, every=every, days=days)
