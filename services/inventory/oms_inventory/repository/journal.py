"""The journal: every movement of stock. What is on hand of an item is the sum of its movements.

Reservations are movements by their own rows, so that a sale writes nothing twice; all others have a row of `movement`.
Those of orders that are deleted are carried: their sum stays, as one movement of each item.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from oms_chassis.db import Database, Transaction
from oms_chassis.statements import Rows
from oms_chassis.tables import names, typed
from oms_inventory.tables import MovementRow

_COLUMNS = ("item_id", "kind", "quantity", "order_id", "who", "why")
_WRITE = f"""
INSERT INTO movement ({names(MovementRow, *_COLUMNS)})
SELECT {names(MovementRow, *_COLUMNS)}
FROM json_to_recordset(%(rows)s::json) AS r({typed(MovementRow, *_COLUMNS)})
"""
# No more rows of each kind are read than requested, since an item may have millions. The reservations of the newest
# orders count as the newest: an order's id begins with its time, and few orders wait long for their stock.
OF_ITEM = """
SELECT * FROM (
    SELECT id AS item_id, 'initial' AS kind, initial AS quantity, NULL AS order_id, NULL AS who, NULL AS why,
        NULL::timestamptz AS at
    FROM item WHERE id = %(item)s
    UNION ALL
    SELECT item_id, 'carried', quantity, NULL, NULL, NULL, NULL FROM carried WHERE item_id = %(item)s
    UNION ALL
    SELECT item_id, 'reserved', -quantity, order_id, 'order', NULL, allocation.at
    FROM (
        SELECT item_id, quantity, order_id FROM reservation WHERE item_id = %(item)s
        ORDER BY order_id DESC LIMIT %(limit)s
    ) AS newest JOIN allocation USING (order_id)
    UNION ALL (
        SELECT item_id, kind, quantity, order_id, who, why, at FROM movement WHERE item_id = %(item)s
        ORDER BY at DESC, kind LIMIT %(limit)s
    )
) AS journal
ORDER BY at DESC NULLS LAST, kind LIMIT %(limit)s
"""
# A part of the statement that deletes orders. One replica at a time runs it, so nobody waits for these rows.
CARRY = """, carried_over AS (
    INSERT INTO carried (item_id, quantity) SELECT item_id, -sum(quantity) FROM reservation_too GROUP BY item_id
    ON CONFLICT (item_id) DO UPDATE SET quantity = carried.quantity + EXCLUDED.quantity
)"""
# The quantities of all movements of these items.
_QUANTITIES = """
    SELECT id AS item_id, initial AS quantity FROM item
    UNION ALL SELECT item_id, quantity FROM carried
    UNION ALL SELECT item_id, -quantity FROM reservation
    UNION ALL SELECT item_id, quantity FROM movement
"""
# One statement sees one moment: a sale meanwhile is in both sums or in neither. Only rows of these items are read, by
# index or in one scan.
CHECK = f"""
SELECT item.id, item.on_hand, sum(journal.quantity)::bigint AS counted
FROM item JOIN ({_QUANTITIES}) AS journal ON journal.item_id = item.id
WHERE journal.item_id = ANY(%(ids)s) GROUP BY item.id ORDER BY item.id
"""


@dataclass(frozen=True)
class Movement:
    """A change of stock, which may be negative, with who made it and why."""

    item_id: str
    kind: str
    quantity: int
    who: str
    why: str | None = None
    order_id: str | None = None


def write(transaction: Transaction, movements: Iterable[Movement]) -> None:
    """Write movements to the journal, in the transaction that changes the stock."""
    transaction.execute_rows(_WRITE, (vars(one) for one in movements))


def movements(database: Database, item_id: str, limit: int) -> Rows:
    """The newest movements of an item, at most `limit`; its initial stock is the oldest of all. If there are more, a
    late reservation of an old order may be left out."""
    return database.execute(OF_ITEM, item=item_id, limit=limit)


def counted(database: Database, items: Sequence[str]) -> Rows:
    """The stock `on_hand` of these items, and the sum of their movements as `counted`."""
    return database.execute(CHECK, ids=list(items))
