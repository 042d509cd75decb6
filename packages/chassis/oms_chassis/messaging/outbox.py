"""The transactional outbox (microservices.io/patterns/data/transactional-outbox); the relay sends what is in it."""

import base64
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from oms_chassis.db import Database, Transaction
from oms_chassis.messaging.streams import BATCH, Headers, Outgoing
from oms_chassis.statements import Row, Rows, execute
from oms_contracts.envelope import Event
from oms_contracts.topics import Topic

BATCH_BYTES = 8 * 1024 * 1024  # per batch, unless a single row is larger


def insertion(topic: str, key: str, value: str, source: str) -> str:
    """Return SQL that puts an event into the outbox for each row of `source`: a statement, or a part of a larger one.

    Topic, key and value are expressions of type text. The caller calls `notify` after the commit.
    """
    return f"""
INSERT INTO outbox (topic, key, value)
SELECT {topic}, convert_to({key}, 'UTF8'), convert_to({value}, 'UTF8') FROM {source}
"""


# A subquery for services' statements: the keys of unsent events, as bytes, since a dead letter keeps any key that its
# record had.
UNSENT_KEYS = "SELECT key FROM outbox WHERE key IS NOT NULL"
SIGNAL = "outbox"  # the commit signal for new rows

_PUT = insertion("topic", "key", "value", "json_to_recordset(%(rows)s::json) AS r(topic text, key text, value text)")
_COUNT = "SELECT count(*) AS events FROM (SELECT 1 FROM outbox LIMIT %(most)s) AS waiting"
_PUT_RAW = """
INSERT INTO outbox (topic, key, value, headers)
SELECT topic, decode(key, 'base64'), decode(value, 'base64'), headers
FROM json_to_recordset(%(rows)s::json) AS r(topic text, key text, value text, headers jsonb)
"""
# Sizes are known without reading out-of-line (TOAST) storage, so rows beyond the limit cost nothing.
_NEXT = """
SELECT id, topic, key, value, headers, waiting FROM (
    SELECT *, row_number() OVER (ORDER BY id) AS place, count(*) OVER () AS waiting, sum(
        coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0) + coalesce(pg_column_size(headers), 0)
    ) OVER (ORDER BY id) AS bytes
    FROM (
        SELECT * FROM outbox WHERE topic <> ALL(%(without)s) AND id <> ALL(%(sent)s) ORDER BY id LIMIT %(batch)s
    ) AS waiting
) AS counted
WHERE bytes <= %(bytes)s OR place = 1 ORDER BY id
"""
_DELETE_FREE = """
WITH gone AS (
    DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE id = ANY(%(ids)s) FOR UPDATE SKIP LOCKED) RETURNING id
)
SELECT id FROM outbox WHERE id = ANY(%(ids)s) AND id NOT IN (SELECT id FROM gone)
"""
_QUARANTINE = """
WITH refused AS (DELETE FROM outbox WHERE id = %(id)s RETURNING *)
INSERT INTO outbox_quarantine (id, topic, key, value, headers, created_at, error)
SELECT id, topic, key, value, headers, created_at, %(error)s FROM refused
"""
_REQUEUE = """
WITH chosen AS (DELETE FROM outbox_quarantine WHERE id = ANY(%(ids)s) RETURNING *)
INSERT INTO outbox (topic, key, value, headers, created_at)
SELECT topic, key, value, headers, created_at FROM chosen ORDER BY id RETURNING id
"""


def emit(transaction: Transaction, events: Iterable[tuple[Topic, Event[Any]]]) -> None:
    """Put events into the outbox; the relay sends them once the transaction is committed."""
    rows = [{"topic": topic.name, "key": event.subject, "value": event.encode()} for topic, event in events]
    if rows:
        transaction.execute_rows(_PUT, rows)
        transaction.signals.add(SIGNAL)


def emit_records(transaction: Transaction, records: Sequence[Outgoing]) -> None:
    """Put records into the outbox, byte for byte."""
    rows = [
        {
            "topic": record.topic,
            "key": encoded(record.key),
            "value": encoded(record.value),
            "headers": encoded_headers(record.headers),
        }
        for record in records
    ]
    transaction.execute_rows(_PUT_RAW, rows)
    transaction.signals.add(SIGNAL)


def notify(database: Database) -> None:
    """Wake the relay. Called after the commit of a statement that contains an `insertion`."""
    database.signals.notify([SIGNAL])


def pending(database: Database, most: int) -> int:
    """Return how many events wait to be sent; counted up to `most` only, so that a long outbox costs no more."""
    return int(database.execute(_COUNT, most=most)[0].events)


def encoded_headers(headers: Headers) -> list[list[str | None]]:
    """Return headers for JSON: names, and values in base64."""
    return [[name, encoded(value)] for name, value in headers]


def encoded(value: bytes | None) -> str | None:
    """Return bytes in base64, for JSON."""
    return None if value is None else base64.b64encode(value).decode()


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else base64.b64decode(value)


def outgoing(row: Row) -> Outgoing:
    """Return a row of the outbox as a record."""
    key, value = (None if column is None else bytes(column) for column in (row.key, row.value))
    return Outgoing(row.topic, key, value, [(name, _bytes(text)) for name, text in row.headers or ()])


def next_rows(connection: Connection, without: Sequence[str], sent: Sequence[int] = ()) -> Rows:
    """Return the oldest rows, at most 500 and 8 MiB, without those of the topics in `without` and those already `sent`.
    Each row's `waiting` is how many there were, up to 500, before the size limit was applied."""
    given = {"without": list(without), "sent": list(sent), "batch": BATCH, "bytes": BATCH_BYTES}
    return execute(connection, _NEXT, given)


def server(connection: Connection) -> datetime:
    """Return the start time of the database server, which identifies it: after a failover it is another one."""
    began: datetime = execute(connection, "SELECT pg_postmaster_start_time() AS began", {})[0].began
    return began


def commit_asynchronously(connection: Connection) -> None:
    """Let this session's commits not wait for the disk or a standby. A crash of the server may then undo the last of
    its deletions, whose rows are sent once more, in order."""
    execute(connection, "SET synchronous_commit = off", {})


def newest(connection: Connection) -> int:
    """Return the id of the newest row; 0 if there is none."""
    return int(execute(connection, "SELECT coalesce(max(id), 0) AS id FROM outbox", {})[0].id)


def delete(connection: Connection, ids: Sequence[int]) -> None:
    """Delete rows that were sent."""
    execute(connection, "DELETE FROM outbox WHERE id = ANY(%(ids)s)", {"ids": list(ids)})


def delete_free(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Delete those of these rows that are not locked, and return the ids of the others."""
    return [row.id for row in execute(connection, _DELETE_FREE, {"ids": list(ids)})]


def quarantine(connection: Connection, row: Row, error: str) -> None:
    """Move a row that can never be sent into quarantine, with the class of the error, for an operator."""
    execute(connection, _QUARANTINE, {"id": row.id, "error": error})


def requeue(transaction: Transaction, ids: Sequence[int]) -> int:
    """Move quarantined rows back to the end of the outbox, and return how many there were. They keep their age, so that
    a row that is quarantined again is not kept any longer."""
    transaction.signals.add(SIGNAL)
    return len(transaction.execute(_REQUEUE, ids=list(ids)))
