"""The statements for returns. Orders and items are locked in the order of their ids."""

from collections.abc import Sequence
from dataclasses import dataclass

from oms_chassis.db import Transaction
from oms_chassis.tables import names, typed
from oms_inventory.tables import ReturnRow

_RETURN = ("refund_id", "item_id", "order_id", "quantity")
# A cancellation takes the same lock, and so sees earlier returns.
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
    """A quantity of an item that came back with a refund of an order."""

    refund_id: str
    item_id: str
    order_id: str
    quantity: int


def accept(transaction: Transaction, asked: Sequence[Return]) -> list[Return]:
    """Record new returns, and reduce what their orders hold; returns the new ones. Raises LookupError if an order does
    not hold that much."""
    transaction.execute(_LOCK, orders=sorted({one.order_id for one in asked}))
    new = [Return(*tuple(row)) for row in transaction.execute_rows(_INSERT, map(vars, asked))]
    let_go = transaction.execute_rows(_LET_GO, map(vars, new))
    if {(row.order_id, row.item_id) for row in let_go} != {(one.order_id, one.item_id) for one in new}:
        raise LookupError("an order does not hold what was returned of it")
    return new
