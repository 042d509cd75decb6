"""Retention: rows that nobody needs any more are deleted, a chunk at a time, by one replica at a time.

Each chunk is a short transaction of its own: it holds no lock for long, stays within the bounds of a statement, and
leaves vacuum something to do before the last of them. No row comes to us: the server says how many there were.
"""

import time
from dataclasses import dataclass

from oms_chassis import pacing
from oms_chassis.db import Database

CHUNK = 10_000  # rows that one statement deletes
LOCK = 0x6F6D7303
_LOCK = "SELECT pg_try_advisory_xact_lock(%(lock)s, hashtext(%(table)s)) AS ours"
_PRUNE = """
DELETE FROM {table} WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM {table} WHERE {column} < now() - make_interval(secs => %(seconds)s)
    ORDER BY {column} LIMIT %(chunk)s))
"""


@dataclass(frozen=True)
class Retention:
    """For how many seconds the rows of a table are kept, by a column of times that has an index."""

    table: str
    column: str
    seconds: float


def prune(database: Database, retention: Retention) -> float | None:
    """Delete a chunk of what is too old; seconds to wait before the next one, None if there is none for us."""
    began = time.monotonic()
    sql = _PRUNE.format(table=retention.table, column=retention.column)
    with database.transaction() as transaction:
        if not transaction.run(_LOCK, lock=LOCK, table=retention.table)[0].ours:
            return None  # another replica is at it
        deleted = transaction.count(sql, seconds=retention.seconds, chunk=CHUNK)
    return pacing.pause(time.monotonic() - began) if deleted == CHUNK else None
