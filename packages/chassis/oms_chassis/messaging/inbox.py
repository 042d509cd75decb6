"""The inbox (idempotent consumer): an event is processed once, however often it is delivered."""

import time
from collections.abc import Sequence
from typing import Any

from oms_chassis.db import Database, Transaction
from oms_chassis.retention import Retention
from oms_chassis.statements import as_json
from oms_contracts.envelope import Event

QUICK = 1.0  # seconds that the smallest of transactions takes at most where the database is well

_DEDUPLICATE = """
INSERT INTO inbox (event_id)
SELECT DISTINCT id FROM json_to_recordset(%(rows)s::json) AS r(id text, record text)
WHERE record <> ALL (ARRAY(SELECT event_id FROM inbox WHERE event_id = ANY(%(records)s))) ORDER BY id
ON CONFLICT DO NOTHING RETURNING event_id
"""


def deduplicate(
    transaction: Transaction, events: Sequence[Event[Any]], records: Sequence[str] | None = None
) -> list[Event[Any]]:
    """The events never seen before, each once and in order; from now on they count as seen. `records` are the names of
    those that hold them, in the same order: the event of one that is a dead letter is left out."""
    new = set(new_ids(transaction, [event.identity for event in events], records))
    fresh = []
    for event in events:
        if event.identity in new:
            new.remove(event.identity)
            fresh.append(event)
    return fresh


def new_ids(transaction: Transaction, ids: Sequence[str], records: Sequence[str] | None = None) -> list[str]:
    """Which of these ids were never seen before; without those whose record was."""
    rows = [{"id": one} for one in ids]
    if records is not None:
        rows = [{"id": one, "record": record} for one, record in zip(ids, records, strict=True)]
    found = transaction.execute(_DEDUPLICATE, rows=as_json(rows), records=list(records or ()))
    return [row.event_id for row in found]


def seen(database: Database, ids: Sequence[str]) -> set[str]:
    """Which of these ids were seen before."""
    sql = "SELECT event_id FROM inbox WHERE event_id = ANY(%(ids)s)"
    storable = [one for one in ids if "\0" not in one]  # the others cannot be sent, and were never seen
    return {row.event_id for row in database.execute(sql, ids=storable)}


def is_quick(database: Database) -> bool:
    """Whether the database takes a row, and lets go of it, as quickly as it should."""
    began = time.monotonic()
    with database.transaction() as transaction:
        transaction.execute("INSERT INTO inbox (event_id) VALUES ('quick?') ON CONFLICT DO NOTHING")
    database.execute("DELETE FROM inbox WHERE event_id = 'quick?'")
    return time.monotonic() - began < QUICK


def retention(days: float) -> Retention:
    """What was received longer ago than any repetition can come is forgotten."""
    return Retention("inbox", "received_at", days * 86400)
