"""The read model of the inventory's items."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from oms_chassis.db import Database, Rows, Transaction
from oms_chassis.tables import assigned, columns, names, typed
from oms_contracts.events import ItemUpdated
from oms_order.tables import ItemRow

_EVENT = columns(ItemRow, without=("id", "seen_at"))  # which the event has by the same names
_SELECT = f"SELECT {names(ItemRow)} FROM item"
# A row gets its time before its transaction is committed: a row may turn up that is a little older than others seen.
_CHANGED = f"{_SELECT} WHERE seen_at > %(since)s::timestamptz - interval '30 seconds'"
_NAMED = f"{_SELECT} WHERE id = ANY(%(ids)s)"
_UPDATE = f"""
INSERT INTO item ({names(ItemRow, without=("seen_at",))})
SELECT DISTINCT ON (id) * FROM json_to_recordset(%(rows)s::json) AS r({typed(ItemRow, without=("seen_at",))})
ORDER BY id, version DESC
ON CONFLICT (id) DO UPDATE SET {assigned(ItemRow, *_EVENT, of="excluded")}, seen_at = clock_timestamp()
WHERE item.version < excluded.version
"""


def update(transaction: Transaction, items: Iterable[ItemUpdated]) -> None:
    """Keep the newest version of each item."""
    rows = ({"id": item.item_id, **{name: getattr(item, name) for name in _EVENT}} for item in items)
    transaction.run_rows(_UPDATE, rows)


def named(database: Database, ids: Sequence[str]) -> Rows:
    """The items of these ids, as far as there are any."""
    return database.execute(_NAMED, ids=ids)


def changed(database: Database, since: datetime) -> Rows:
    """The items that were updated since then, and some from shortly before."""
    return database.execute(_CHANGED, since=since)
