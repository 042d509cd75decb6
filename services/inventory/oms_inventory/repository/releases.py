"""The statements for cancelled orders and the stock that they held. Items are locked in the order of their ids."""

from collections.abc import Iterable, Mapping

from oms_chassis.db import Transaction
from oms_chassis.statements import Rows
from oms_inventory.repository import ITEM

_CANCEL = """
INSERT INTO allocation (order_id, is_allocated, cancelled_at) SELECT order_id, false, now()
FROM json_to_recordset(%(rows)s::json) AS r(order_id text) ORDER BY order_id
ON CONFLICT (order_id) DO UPDATE SET cancelled_at = coalesce(allocation.cancelled_at, now())
"""
_HELD = """
SELECT order_id, item_id, quantity - released AS quantity FROM reservation
WHERE order_id = ANY(%(orders)s) AND released < quantity ORDER BY order_id, item_id
"""
_LET_GO = """
UPDATE reservation SET released = quantity WHERE order_id = ANY(%(orders)s) AND released < quantity
"""
_PUT_BACK = f"""
UPDATE item SET on_hand = on_hand + r.quantity, released = item.released + r.quantity,
    version = version + (on_hand = 0)::int, updated_at = now()
FROM json_to_recordset(%(rows)s::json) AS r(id text, quantity bigint)
WHERE item.id = r.id
RETURNING {ITEM}, on_hand = r.quantity AS is_back
"""


def put_back(transaction: Transaction, quantities: Mapping[str, int]) -> Rows:
    """Return stock that orders had taken; returns the items, and whether each `is_back` after being sold out.

    The items must be locked.
    """
    return transaction.execute_rows(_PUT_BACK, ({"id": item, "quantity": n} for item, n in sorted(quantities.items())))


def cancel(transaction: Transaction, orders: Iterable[str]) -> None:
    """Record these orders as cancelled, whatever was decided before, and lock them until this transaction ends."""
    transaction.execute_rows(_CANCEL, ({"order_id": order_id} for order_id in orders))


def held(transaction: Transaction, orders: Iterable[str]) -> list[tuple[str, str, int]]:
    """The stock that these orders hold: (order id, item id, quantity)."""
    return [(row.order_id, row.item_id, row.quantity) for row in transaction.execute(_HELD, orders=list(orders))]


def let_go(transaction: Transaction, orders: Iterable[str]) -> None:
    """Record that these orders do not hold any stock any more."""
    transaction.execute(_LET_GO, orders=list(orders))
