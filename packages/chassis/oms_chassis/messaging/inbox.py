"""The inbox (idempotent consumer): an event is processed once, however often it is delivered."""

import time
from collections.abc import Sequence
from typing import Any

from oms_chassis.db import Database, Transaction
from oms_chassis.retention import Retention
from oms_chassis.statements import as_json
from oms_contracts.envelope import Event

QUICK = 1.0  # seconds that the smallest transaction takes at most while the database is healthy

_DEDUPLICATE = """
INSERT INTO inbox (event_id)
SELECT DISTINCT id FROM json_to_recordset(%(rows)s::json) AS r(id text, record text)
WHERE record <> ALL (ARRAY(SELECT event_id FROM inbox WHERE event_id = ANY(%(records)s))) ORDER BY id
ON CONFLICT DO NOTHING RETURNING event_id
"""


def deduplicate(
    transaction: Transaction, events: Sequence[Event[Any]], records: Sequence[str] | None = None
) -> list[Event[Any]]:
    """Return the events that were never seen before, each once and in order, and mark them as seen. `records` are the
    names of their records, in the same order: an event whose record is a dead letter is left out."""
    new = set(new_ids(transaction, [event.identity for event in events], records))
    fresh = []
    for event in events:
        if event.identity in new:
            new.remove(event.identity)
            fresh.append(event)
    return fresh


def new_ids(transaction: Transaction, ids: Sequence[str], records: Sequence[str] | None = None) -> list[str]:
    """Return those of these ids that were never seen before, unless their record was, and mark them as seen."""
    rows = [{"id": one} for one in ids]
    if records is not None:
        rows = [{"id": one, "record": record} for one, record in zip(ids, records, strict=True)]
    found = transaction.execute(_DEDUPLICATE, rows=as_json(rows), records=list(records or ()))
    return [row.event_id for row in found]


def seen(database: Database, ids: Sequence[str]) -> set[str]:
    """Return those of these ids that were seen before."""
    sql = "SELECT event_id FROM inbox WHERE event_id = ANY(%(ids)s)"
    storable = [one for one in ids if "\0" not in one]  # the others cannot be stored, so they were never seen
    return {row.event_id for row in database.execute(sql, ids=storable)}


def is_quick(database: Database) -> bool:
    """Whether the database inserts and deletes a row as quickly as it should."""
    began = time.monotonic()
    with database.transaction() as transaction:
        transaction.execute("INSERT INTO inbox (event_id) VALUES ('quick?') ON CONFLICT DO NOTHING")
    database.execute("DELETE FROM inbox WHERE event_id = 'quick?'")
    return time.monotonic() - began < QUICK


def retention(days: float) -> Retention:
    """Return the rule by which ids are deleted once they are too old for their events to be delivered again."""
    return Retention("inbox", "received_at", days * 86400)
