"""The read model of the inventory's items."""

from collections.abc import Iterable, Iterator, Sequence

from oms_chassis.db import Database, Transaction
from oms_chassis.statements import Rows
from oms_chassis.tables import assigned, columns, names, typed
from oms_contracts.events import ItemUpdated
from oms_order.tables import ItemRow

_EVENT = columns(ItemRow, without=("id", "seen_at"))  # the event has fields of the same names
_RECENT = """
SELECT id, version FROM item WHERE seen_at > now() - make_interval(secs => %(back)s) LIMIT %(limit)s
"""
_ALL = "SELECT id, version FROM item WHERE id > %(after)s ORDER BY id LIMIT %(limit)s"
_ANY = "SELECT EXISTS (SELECT FROM item) AS found"
_SETTLED = """
SELECT max(seen_at) < now() - make_interval(secs => %(quiet)s)
    OR min(seen_at) < now() - make_interval(secs => %(longest)s) AS settled FROM item
"""
_NAMED = f"SELECT {names(ItemRow)} FROM item WHERE id = ANY(%(ids)s)"
_NEWEST = "SELECT coalesce(max(version), 0) AS version FROM item"
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
    transaction.execute_rows(_UPDATE, rows)


def named(database: Database, ids: Sequence[str]) -> Rows:
    """Return those of these items that exist."""
    return database.execute(_NAMED, ids=ids)


def exist(database: Database) -> bool:
    """Whether there is any item."""
    return bool(database.execute(_ANY)[0].found)


def have_settled(database: Database, quiet: float, longest: float) -> bool:
    """Whether no item has changed for `quiet` seconds, or the first one arrived more than `longest` seconds ago."""
    return bool(database.execute(_SETTLED, quiet=quiet, longest=longest)[0].settled)


def recent(database: Database, back: float, limit: int) -> Rows:
    """Return the `id` and `version` of at most `limit` items that were updated in the last `back` seconds."""
    return database.execute(_RECENT, back=back, limit=limit)


def chunks(database: Database, limit: int) -> Iterator[Rows]:
    """Yield the `id` and `version` of every item, in the order of ids, `limit` at a time."""
    after = ""
    while rows := database.execute(_ALL, after=after, limit=limit):
        yield rows
        after = rows[-1].id


def newest(database: Database) -> int:
    """Return the highest version of any item; 0 if there is none."""
    return int(database.execute(_NEWEST)[0].version)
