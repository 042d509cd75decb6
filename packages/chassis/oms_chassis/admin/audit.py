"""The audit log: what operators did, with the states before and after. Triggers in the database prevent changes to
it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from oms_chassis.db import Database, Transaction
from oms_chassis.statements import Rows
from oms_chassis.tables import AuditRow, names, typed

_FIELDS = ("operator", "action", "subject", "reason", "before", "after")
_RECORD = f"""
INSERT INTO audit_log ({names(AuditRow, *_FIELDS)})
SELECT {names(AuditRow, *_FIELDS)} FROM json_to_recordset(%(rows)s::json) AS r({typed(AuditRow, *_FIELDS)})
"""
# `subject` also matches entries whose states name it. That has no index: a page is read backwards by id until it is
# full, in the worst case through the whole log, which only operators' acts make grow.
_PAGE = f"""
SELECT {names(AuditRow)} FROM audit_log
WHERE (%(before)s::bigint IS NULL OR id < %(before)s) AND (%(operator)s::text IS NULL OR operator = %(operator)s)
    AND (%(subject)s::text IS NULL
        OR %(subject)s IN (subject, before->>'subject', after->>'subject'))
    AND (%(action)s::text IS NULL OR action = %(action)s)
ORDER BY id DESC LIMIT %(limit)s
"""


@dataclass(frozen=True)
class Entry:
    """An act. It contains states and ids, and no customer data, because it can never be erased."""

    operator: str
    action: str
    subject: str
    reason: str | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Filters:
    """The entries that are asked for; None means any."""

    operator: str | None = None
    subject: str | None = None
    action: str | None = None


def record(transaction: Transaction, entries: Sequence[Entry]) -> None:
    """Write entries for what this transaction does."""
    transaction.execute_rows(_RECORD, (asdict(entry) for entry in entries))


def page(database: Database, filters: Filters, before: int | None, limit: int) -> Rows:
    """Return entries, newest first, beginning before the one with this id."""
    return database.execute(_PAGE, before=before, limit=limit, **asdict(filters))
