"""Retention: rows that nobody needs any more are deleted, a chunk at a time, by one replica at a time.

Each chunk is a short transaction of its own: it holds no lock for long, stays within the bounds of a statement, and
leaves vacuum something to do before the last of them. No row comes to us: the server says how many there were.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from oms_chassis import pacing
from oms_chassis.db import Database
from oms_chassis.failures import is_locked

CHUNK = 10_000  # rows that one statement deletes
ORDERS = 1_000  # and orders, each of which may have a hundred lines
LONGER = 1.0  # days that other services keep what is about an order, so that what was asked of it finds its rows
LOCK = 0x6F6D7303
_LOCK = "SELECT pg_try_advisory_xact_lock(%(lock)s, hashtext(%(table)s)) AS ours"
_PRUNE = """
DELETE FROM {table} WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM {table} WHERE {column} < now() - make_interval(secs => %(seconds)s) AND {condition}
    ORDER BY {column} LIMIT %(chunk)s {free}))
"""
_FREE = "FOR UPDATE SKIP LOCKED"  # costs each row a lock: only where somebody holds one


# Ids of orders begin with their time, so that the oldest are found by the key that there is. The row's own time has to
# agree: of an id that was made in another way, the id says nothing.
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
    """For how many seconds the rows of a table are kept, by a column of times that has an index, and on a condition; or
    by a statement of its own, and in chunks of its own."""

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
    """For how many days what a service knows of an order is kept once it has `ended` (a condition); None: for ever.

    It is kept for `longer` than the order itself, of which others may be asked until it goes. `key` is the order's id,
    and `column` the time of the row. The order's rows in `also` go with it, by `order_id`, and `then` is SQL that finds
    them in `<table>_too`.
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
    """Delete a chunk of what is too old, but for rows that somebody holds; seconds to wait before the next one, None if
    there is none for us."""
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
