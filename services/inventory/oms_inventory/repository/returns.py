"""What has come back of confirmed orders. Orders and items are locked in the order of their ids here, too."""

from collections.abc import Sequence
from dataclasses import dataclass

from oms_chassis.db import Transaction
from oms_chassis.tables import names, typed
from oms_inventory.tables import ReturnRow

_RETURN = ("refund_id", "item_id", "order_id", "quantity")
# A cancellation takes the same lock, and sees what was returned before it.
_LOCK = "SELECT 1 FROM allocation WHERE order_id = ANY(%(orders)s) ORDER BY order_id FOR UPDATE"
_INSERT = f"""
INSERT INTO stock_return ({names(ReturnRow, *_RETURN)})
SELECT {names(ReturnRow, *_RETURN)} FROM json_to_recordset(%(rows)s::json) AS r({typed(ReturnRow, *_RETURN)})
ON CONFLICT DO NOTHING RETURNING {names(ReturnRow, *_RETURN)}
"""
_LET_GO = """
UPDATE reservation SET released = released + r.quantity
FROM (
    SELECT order_id, item_id, sum(quantity)::bigint AS quantity
    FROM json_to_recordset(%(rows)s::json) AS r(order_id text, item_id text, quantity bigint)
    GROUP BY order_id, item_id
) AS r
WHERE reservation.order_id = r.order_id AND reservation.item_id = r.item_id
    AND reservation.released + r.quantity <= reservation.quantity
RETURNING reservation.order_id, reservation.item_id
"""


@dataclass(frozen=True)
class Return:
    """How much of which item of an order came back, with which refund."""

    refund_id: str
    item_id: str
    order_id: str
    quantity: int


def accept(transaction: Transaction, asked: Sequence[Return]) -> list[Return]:
    """Note these returns, and that their orders hold so much less; those that are new. Raises LookupError if an order
    does not hold so much."""
    transaction.execute(_LOCK, orders=sorted({one.order_id for one in asked}))
    new = [Return(*tuple(row)) for row in transaction.execute_rows(_INSERT, map(vars, asked))]
    let_go = transaction.execute_rows(_LET_GO, map(vars, new))
    if {(row.order_id, row.item_id) for row in let_go} != {(one.order_id, one.item_id) for one in new}:
        raise LookupError("an order does not hold what was returned of it")
    return new
