"""Refunds that the gateway says have failed, and of which it is written here that they succeeded."""

from collections.abc import Iterable

from oms_chassis.db import Transaction
from oms_gateway import FailedRefund, charged_order

# By the order first: the gateway's ids have no index.
_AFFECTED = """
SELECT DISTINCT r.order_id FROM json_to_recordset(%(rows)s::json) AS r(order_id text, id text)
WHERE EXISTS (
    SELECT FROM payment WHERE payment.order_id = r.order_id AND state = 'REFUNDED' AND payment.refund_id = r.id
) OR EXISTS (
    SELECT FROM requested_refund refund
    WHERE refund.order_id = r.order_id AND refund.state = 'SUCCEEDED' AND refund.reference = r.id
) ORDER BY r.order_id
"""


def affected(transaction: Transaction, failed: Iterable[FailedRefund]) -> list[str]:
    """The orders of which one of these refunds is written down as made."""
    rows = ({"order_id": charged_order(one.key), "id": one.id} for one in failed)
    return [row.order_id for row in transaction.run_rows(_AFFECTED, rows)]
