"""The statements for disputes."""

from collections.abc import Iterable

from oms_chassis.db import Transaction
from oms_chassis.statements import Rows
from oms_chassis.tables import names, typed
from oms_gateway import Dispute, charged_order
from oms_payment.tables import DisputeRow

_COLUMNS = ("id", "order_id", "charge_id", "amount", "currency")
_INSERT = f"""
INSERT INTO dispute ({names(DisputeRow, *_COLUMNS)})
SELECT {names(DisputeRow, *_COLUMNS)} FROM json_to_recordset(%(rows)s::json) AS r({typed(DisputeRow, *_COLUMNS)})
ON CONFLICT (id) DO NOTHING RETURNING id, order_id, amount, currency,
    EXISTS (SELECT FROM payment WHERE payment.order_id = dispute.order_id) AS is_ours
"""


def insert(transaction: Transaction, disputes: Iterable[Dispute]) -> Rows:
    """Insert the new ones; returns their `id`, `order_id`, `amount` and `currency`, and whether each `is_ours`: another
    installation may use the same gateway account."""
    rows = ({**vars(one), "order_id": charged_order(one.key)} for one in disputes)
    return transaction.execute_rows(_INSERT, rows)
