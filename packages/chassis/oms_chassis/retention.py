"""Retention: expired rows are deleted in chunks, by one replica at a time.

Each chunk is a short transaction of its own, so that it holds no lock for long, stays within the statement timeout, and
lets vacuum begin before the last chunk. No rows are returned, only their number.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from oms_chassis import pacing
from oms_chassis.db import Database
from oms_chassis.failures import is_locked

CHUNK = 10_000  # rows that one statement deletes
ORDERS = 1_000  # orders that one statement deletes: each may have a hundred lines
LONGER = 1.0  # days by which other services keep an order's data longer, so that late requests still find it
LOCK = 0x6F6D7303
_LOCK = "SELECT pg_try_advisory_xact_lock(%(lock)s, hashtext(%(table)s)) AS ours"
_PRUNE = """
DELETE FROM {table} WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM {table} WHERE {column} < now() - make_interval(secs => %(seconds)s) AND {condition}
    ORDER BY {column} LIMIT %(chunk)s {free}))
"""
_FREE = "FOR UPDATE SKIP LOCKED"  # costs a lock per row, so it is used only if a row is locked


# Ids of orders begin with their time, so the oldest are found by the primary key. The row's own time is checked, too,
# for ids that were made in another way.
_OLDEST = "lpad(to_hex((extract(epoch FROM now() - make_interval(secs => %(seconds)s)) * 1000)::bigint), 12, '0')"
_AS_UUID = f"({_OLDEST} || repeat('0', 20))::uuid"
_AS_TEXT = f"left({_OLDEST}, 8) || '-' || right({_OLDEST}, 4)"
_PRUNE_ORDERS = """
WITH old AS MATERIALIZED (
    SELECT {key} AS key FROM {table}
    WHERE {key} < {oldest} AND {column} < now() - make_interval(secs => %(seconds)s) AND {ended}
    ORDER BY {key} LIMIT %(chunk)s FOR UPDATE SKIP LOCKED
){also}{then}
DELETE FROM {table} USING old WHERE {table}.{key} = old.key
"""
_ALSO = ", {table}_too AS (DELETE FROM {table} USING old WHERE {table}.order_id = old.key RETURNING {table}.*)"


@dataclass(frozen=True)
class Retention:
    """For how many seconds the rows of a table are kept, by an indexed column of times; only rows that meet `condition`
    are deleted. `statement` and `chunk` may be replaced by the table's own."""

    table: str
    column: str
    seconds: float
    statement: str = _PRUNE
    chunk: int = CHUNK
    condition: str = "true"


def of_orders(
    table: str,
    column: str,
    days: float | None,
    *,
    ended: str,
    key: str = "order_id",
    also: Sequence[str] = (),
    then: str = "",
    longer: float = LONGER,
) -> list[Retention]:
    """Return the rules by which a service keeps its data about an order for `days` once it has `ended` (a condition);
    None: for ever.

    It is kept `longer` than the order itself, about which other services may be asked until it is deleted. `key` is the
    column of the order's id, and `column` that of the row's time. The order's rows in the tables `also` are deleted,
    too, by `order_id`; the SQL in `then` finds them in `<table>_too`.
    """
    if days is None:
        return []
    statement = _PRUNE_ORDERS.format(
        table=table,
        column=column,
        key=key,
        ended=ended,
        oldest=_AS_UUID if key == "id" else _AS_TEXT,
        also="".join(_ALSO.format(table=one) for one in also),
        then=then,
    )
    return [Retention(table, column, (days + longer) * 86400, statement, ORDERS)]


def prune(database: Database, retention: Retention) -> float | None:
    """Delete a chunk of expired rows, except locked ones. Return the seconds to wait before the next chunk; None if
    there is none left, or another replica is deleting."""
    try:
        return _prune(database, retention, "")
    except DBAPIError as error:
        if not is_locked(error):
            raise
    return _prune(database, retention, _FREE)


def _prune(database: Database, retention: Retention, free: str) -> float | None:
    began = time.monotonic()
    names = {"table": retention.table, "column": retention.column, "condition": retention.condition}
    sql = retention.statement.format(**names, free=free)
    with database.transaction() as transaction:
        if not transaction.execute(_LOCK, lock=LOCK, table=retention.table)[0].ours:
            return None  # another replica is at it
        deleted = transaction.count(sql, seconds=retention.seconds, chunk=retention.chunk)
    return pacing.pause(time.monotonic() - began) if deleted == retention.chunk else None
