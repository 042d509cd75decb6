"""The statements of the Inventory Service. Each takes a whole batch.

Items are always locked in the order of their ids, so that batches that share items do not deadlock.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from oms_chassis.db import Database, Transaction
from oms_chassis.statements import Rows
from oms_chassis.tables import names, typed
from oms_inventory.tables import ItemRow, ReservationRow

ITEM = names(ItemRow, without=("restocked", "sold", "released", "corrected", "updated_at"), of="item")
_PAGE = f"SELECT {ITEM} FROM item WHERE id > %(after)s ORDER BY id LIMIT %(limit)s"
_ONE = f"SELECT {ITEM} FROM item WHERE id = %(id)s"
_LOCK = "SELECT id, on_hand FROM item WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE"
_TAKE = f"""
UPDATE item SET on_hand = on_hand - r.quantity, sold = sold + r.quantity,
    version = version + (on_hand = r.quantity)::int, updated_at = now()
FROM json_to_recordset(%(rows)s::json) AS r(id text, quantity bigint)
WHERE item.id = r.id AND item.on_hand >= r.quantity
RETURNING {ITEM}
"""
_ADD = f"""
UPDATE item SET on_hand = on_hand + %(quantity)s, restocked = restocked + %(quantity)s,
    version = version + (on_hand = 0)::int, updated_at = now()
WHERE id = %(id)s RETURNING {ITEM}, on_hand = %(quantity)s AS is_back
"""
_CORRECT = f"""
UPDATE item SET on_hand = on_hand + %(quantity)s, corrected = corrected + %(quantity)s,
    version = version + ((on_hand = 0) <> (on_hand + %(quantity)s = 0))::int, updated_at = now()
WHERE id = %(id)s RETURNING {ITEM}
"""
_CREATE = f"""
INSERT INTO item (id, name, unit_price, currency, initial, on_hand)
SELECT id, name, unit_price, %(currency)s, on_hand, on_hand
FROM json_to_recordset(%(rows)s::json) AS r(id text, name text, unit_price bigint, on_hand bigint) ORDER BY id
ON CONFLICT DO NOTHING RETURNING {ITEM}
"""
_CHANGE = f"""
UPDATE item SET name = %(name)s, unit_price = %(unit_price)s, version = version + 1, updated_at = now()
WHERE id = %(id)s RETURNING {ITEM}
"""
_RENEW = f"""
WITH chosen AS (SELECT id FROM item WHERE id > %(after)s ORDER BY id LIMIT %(limit)s FOR UPDATE), renewed AS (
    UPDATE item SET version = greatest(item.version, %(above)s) + 1, updated_at = now()
    FROM chosen WHERE item.id = chosen.id RETURNING {ITEM}
)
SELECT * FROM renewed ORDER BY id
"""
_NEW_ORDERS = """
INSERT INTO allocation (order_id, is_allocated) SELECT order_id, true
FROM json_to_recordset(%(rows)s::json) AS r(order_id text) ORDER BY order_id
ON CONFLICT DO NOTHING RETURNING order_id
"""
_REJECT = """
UPDATE allocation SET is_allocated = false
FROM json_to_recordset(%(rows)s::json) AS r(order_id text) WHERE allocation.order_id = r.order_id
"""
_RESERVED = ("order_id", "item_id", "quantity")
_RESERVE = f"""
INSERT INTO reservation ({names(ReservationRow, *_RESERVED)})
SELECT {names(ReservationRow, *_RESERVED)}
FROM json_to_recordset(%(rows)s::json) AS r({typed(ReservationRow, *_RESERVED)})
"""
_KEEP_KEY = """
INSERT INTO restock (key, item_id, quantity, why) VALUES (%(key)s, %(id)s, %(quantity)s, %(why)s)
ON CONFLICT DO NOTHING RETURNING 1
"""
_IS_SAME = """
SELECT 1 FROM restock
WHERE key = %(key)s AND item_id = %(id)s AND quantity = %(quantity)s AND coalesce(why, %(why)s) = %(why)s
"""
_STATES = "SELECT order_id, is_allocated FROM allocation WHERE order_id = ANY(%(orders)s)"


@dataclass(frozen=True)
class NewItem:
    """An item to be created; `unit_price` is in minor units."""

    id: str
    name: str
    unit_price: int
    on_hand: int


def page(database: Database, after: str, limit: int) -> Rows:
    """At most `limit` items whose ids come after this one, in order."""
    return database.execute(_PAGE, after=after, limit=limit)


def find(database: Database, item_id: str) -> Rows:
    """The item, if there is one."""
    return database.execute(_ONE, id=item_id)


def lock_item(transaction: Transaction, item_id: str) -> Rows:
    """Lock an item until this transaction ends; the item, if there is one."""
    return transaction.execute(f"{_ONE} FOR UPDATE", id=item_id)


def lock_stock(transaction: Transaction, ids: Iterable[str]) -> dict[str, int]:
    """Lock items until this transaction ends; the stock on hand of those that exist, by id."""
    return {row.id: row.on_hand for row in transaction.execute(_LOCK, ids=list(ids))}


def take(transaction: Transaction, quantities: Mapping[str, int]) -> Rows:
    """Take these quantities from the stock; returns the items as they are afterwards.

    The items must be locked. Raises LookupError if there is not enough of one of them.
    """
    rows = transaction.execute_rows(_TAKE, ({"id": item, "quantity": n} for item, n in sorted(quantities.items())))
    if len(rows) != len(quantities):
        raise LookupError("stock was decided on without a lock")
    return rows


def add(transaction: Transaction, item_id: str, quantity: int) -> Rows:
    """Add to an item's stock; returns the item, if there is one, and whether it `is_back` after being sold out."""
    return transaction.execute(_ADD, id=item_id, quantity=quantity)


def correct(transaction: Transaction, item_id: str, quantity: int) -> Rows:
    """Correct an item's stock by a quantity that may be negative; returns the item, if there is one."""
    return transaction.execute(_CORRECT, id=item_id, quantity=quantity)


def create(transaction: Transaction, items: Iterable[NewItem], currency: str) -> Rows:
    """Insert the items that do not exist yet; returns those."""
    return transaction.execute_rows(_CREATE, (vars(item) for item in items), currency=currency)


def change(transaction: Transaction, item_id: str, name: str, unit_price: int) -> Rows:
    """Change an item's name or price; returns the item, if there is one."""
    return transaction.execute(_CHANGE, id=item_id, name=name, unit_price=unit_price)


def renew(transaction: Transaction, above: int, after: str, limit: int) -> Rows:
    """Give at most `limit` items after this one versions above the given one and their own; returns them, by id."""
    return transaction.execute(_RENEW, above=above, after=after, limit=limit)


def open_allocations(transaction: Transaction, orders: Iterable[str]) -> set[str]:
    """Record these orders as allocated; returns those that were not decided before."""
    rows = transaction.execute_rows(_NEW_ORDERS, ({"order_id": order_id} for order_id in orders))
    return {row.order_id for row in rows}


def reject(transaction: Transaction, orders: Iterable[str]) -> None:
    """Record these orders as rejected."""
    transaction.execute_rows(_REJECT, ({"order_id": order_id} for order_id in orders))


def reserve(transaction: Transaction, quantities: Iterable[tuple[str, str, int]]) -> None:
    """Record the stock that each order holds: (order id, item id, quantity)."""
    rows = ({"order_id": order, "item_id": item, "quantity": quantity} for order, item, quantity in quantities)
    transaction.execute_rows(_RESERVE, rows)


def keep_key(transaction: Transaction, key: str, item_id: str, quantity: int, why: str) -> bool:
    """Record that a restock was made with this key; False if the key was used before. The item must be locked."""
    return bool(transaction.execute(_KEEP_KEY, key=key, id=item_id, quantity=quantity, why=why))


def is_same(transaction: Transaction, key: str, item_id: str, quantity: int, why: str) -> bool:
    """Whether the restock that was made with this key is the same as this one."""
    return bool(transaction.execute(_IS_SAME, key=key, id=item_id, quantity=quantity, why=why))


def states(database: Database, orders: Sequence[str]) -> dict[str, str]:
    """The decisions about these orders' stock, for those that have one."""
    rows = database.execute(_STATES, orders=list(orders))
    return {row.order_id: "ALLOCATED" if row.is_allocated else "REJECTED" for row in rows}
