"""Queries for operators about the outbox and its quarantine; `outbox` moves rows between the two."""

from collections.abc import Sequence

from oms_chassis.db import Database, Transaction
from oms_chassis.retention import Retention
from oms_chassis.statements import Rows

_QUARANTINED = """
    id, topic, encode(key, 'escape') AS subject, error, created_at, quarantined_at,
    coalesce(octet_length(value), 0) AS bytes
"""
_PAGE = f"""
SELECT {_QUARANTINED} FROM outbox_quarantine
WHERE id > %(after)s AND (%(topic)s::text IS NULL OR topic = %(topic)s)
    AND (%(key)s::bytea IS NULL OR key = %(key)s)
ORDER BY id LIMIT %(limit)s
"""
_ABOUT = f"SELECT {_QUARANTINED} FROM outbox_quarantine WHERE key = ANY(%(keys)s) ORDER BY id"
_WAITING = """
SELECT id, topic, encode(key, 'escape') AS subject, created_at FROM outbox WHERE key = ANY(%(keys)s) ORDER BY id
"""
_COUNT = "SELECT count(*) AS rows FROM (SELECT 1 FROM outbox_quarantine LIMIT %(most)s) AS found"
_LOCK = f"SELECT {_QUARANTINED} FROM outbox_quarantine WHERE id = %(id)s FOR UPDATE"
_DROP = "DELETE FROM outbox_quarantine WHERE id = %(id)s"


def page(database: Database, topic: str | None, subject: str | None, after: int, limit: int) -> Rows:
    """Return quarantined rows without their content, ordered by id, after this id."""
    key = None if subject is None else subject.encode()
    return database.execute(_PAGE, topic=topic, key=key, after=after, limit=limit)


def about(database: Database, subjects: Sequence[str]) -> Rows:
    """Return the quarantined rows about these subjects."""
    return database.execute(_ABOUT, keys=[subject.encode() for subject in subjects])


def waiting(database: Database, subjects: Sequence[str]) -> Rows:
    """Return the rows of the outbox about these subjects."""
    return database.execute(_WAITING, keys=[subject.encode() for subject in subjects])


def count(database: Database, most: int) -> int:
    """Return how many rows are in quarantine, counted up to `most`."""
    return int(database.execute(_COUNT, most=most)[0].rows)


def lock(transaction: Transaction, row_id: int) -> Rows:
    """Lock a quarantined row until this transaction ends, and return it without its content, if it exists."""
    return transaction.execute(_LOCK, id=row_id)


def drop(transaction: Transaction, row_id: int) -> None:
    """Delete a quarantined row."""
    transaction.execute(_DROP, id=row_id)


def retention(days: float | None) -> Sequence[Retention]:
    """Return the rule by which quarantined events are kept as long as the orders that they are about; None: for ever.
    There are few, so their times need no index."""
    return [] if days is None else [Retention("outbox_quarantine", "created_at", days * 86400)]
