"""The statements that change items. Whatever readers are told of (name, price, availability) is emitted with it.

Items are always locked in the order of their ids, so that batches which share items wait instead of deadlocking.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from oms_chassis import tracing
from oms_chassis.db import Rows, Transaction
from oms_contracts.events import ItemUpdated
from oms_contracts.topics import ITEM_UPDATED

COLUMNS = "item.id, item.name, item.unit_price, item.currency, item.initial, item.on_hand, item.version"
_LOCK = "SELECT id, on_hand FROM item WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE"
_TAKE = f"""
UPDATE item SET on_hand = on_hand - r.quantity, sold = sold + r.quantity,
    version = version + (on_hand = r.quantity)::int, updated_at = now()
FROM json_to_recordset(%(rows)s::json) AS r(id text, quantity bigint)
WHERE item.id = r.id AND item.on_hand >= r.quantity
RETURNING {COLUMNS}
"""
_ADD = f"""
UPDATE item SET on_hand = on_hand + %(quantity)s, restocked = restocked + %(quantity)s,
    version = version + (on_hand = 0)::int, updated_at = now()
WHERE id = %(id)s RETURNING {COLUMNS}, on_hand = %(quantity)s AS is_back
"""
_CREATE = f"""
INSERT INTO item (id, name, unit_price, currency, initial, on_hand)
SELECT id, name, unit_price, %(currency)s, on_hand, on_hand
FROM json_to_recordset(%(rows)s::json) AS r(id text, name text, unit_price bigint, on_hand bigint) ORDER BY id
ON CONFLICT DO NOTHING RETURNING {COLUMNS}
"""
_CHANGE = f"""
UPDATE item SET name = %(name)s, unit_price = %(unit_price)s, version = version + 1, updated_at = now()
WHERE id = %(id)s RETURNING {COLUMNS}
"""


@dataclass(frozen=True)
class NewItem:
    """An item to be put into the catalogue; `unit_price` in minor units."""

    id: str
    name: str
    unit_price: int
    on_hand: int


def lock(transaction: Transaction, ids: Iterable[str]) -> dict[str, int]:
    """What is on hand of each item that exists; nobody else changes it until this transaction ends."""
    return {row.id: row.on_hand for row in transaction.run(_LOCK, ids=list(ids))}


def take(transaction: Transaction, quantities: Mapping[str, int]) -> None:
    """Take these quantities. The items must be locked, and must have them."""
    rows = transaction.run_rows(_TAKE, ({"id": item, "quantity": n} for item, n in sorted(quantities.items())))
    if len(rows) != len(quantities):
        raise LookupError("stock was decided on without a lock")
    _tell(transaction, [row for row in rows if row.on_hand == 0])


def add(transaction: Transaction, item_id: str, quantity: int) -> Row[Any] | None:
    """Add to an item's stock; the item, if there is one."""
    rows = transaction.run(_ADD, id=item_id, quantity=quantity)
    _tell(transaction, [row for row in rows if row.is_back])
    return rows[0] if rows else None


def create(transaction: Transaction, items: Iterable[NewItem], currency: str) -> Rows:
    """Put items into the catalogue that are not there yet; those."""
    rows = transaction.run_rows(_CREATE, (vars(item) for item in items), currency=currency)
    _tell(transaction, rows)
    return rows


def change(transaction: Transaction, item_id: str, name: str, unit_price: int) -> Row[Any]:
    """Give an item that exists another name or price."""
    rows = transaction.run(_CHANGE, id=item_id, name=name, unit_price=unit_price)
    _tell(transaction, rows)
    return rows[0]


def _tell(transaction: Transaction, rows: Rows) -> None:
    trace = tracing.current()
    transaction.emit((ITEM_UPDATED, ITEM_UPDATED.event(_said(row), row.id, trace)) for row in rows)


def _said(row: Row[Any]) -> ItemUpdated:
    return ItemUpdated(
        item_id=row.id,
        name=row.name,
        unit_price=row.unit_price,
        currency=row.currency,
        available=row.on_hand > 0,
        version=row.version,
    )
