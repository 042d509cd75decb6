"""Refunds that the gateway says have failed, and of which it is written here that they succeeded."""

from collections.abc import Iterable

from oms_chassis.db import Transaction
from oms_chassis.statements import Rows
from oms_gateway import FailedRefund, charged_order

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


def affected(transaction: Transaction, failed: Iterable[FailedRefund]) -> Rows:
    """The orders of which one of these refunds is written down as made, and whether that is all their money. Nobody
    else changes their payments until this transaction ends."""
    rows = ({"order_id": charged_order(one.key), "id": one.id} for one in failed)
    return transaction.run_rows(_AFFECTED, rows)
