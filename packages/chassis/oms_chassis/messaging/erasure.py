"""Erases a customer from dead letters and quarantined events. The rows of dead letters stay, without content."""

from collections.abc import Sequence

from oms_chassis.db import Transaction

# About one of these orders, or containing one of these texts: a record that is not an event may have any key and any
# headers. Headers are stored as names and base64.
_CONCERNED = """
(key = ANY(%(keys)s) OR EXISTS (SELECT 1 FROM unnest(%(texts)s::bytea[]) AS text(bytes)
    WHERE position(text.bytes IN coalesce(value, '')) > 0 OR position(text.bytes IN coalesce(key, '')) > 0
        OR EXISTS (SELECT 1 FROM jsonb_array_elements(coalesce(headers, '[]')) AS header(pair)
            WHERE position(text.bytes IN convert_to(header.pair->>0, 'UTF8')) > 0
                OR position(text.bytes IN decode(coalesce(header.pair->>1, ''), 'base64')) > 0)))
"""
# Whether there is anything left to erase: the id of an order stays.
_HOLDS = "(value IS NOT NULL OR headers <> '[]' OR coalesce(key <> ALL(%(keys)s), false))"
_WAITING = "SELECT 1 FROM outbox WHERE key = ANY(%(keys)s) LIMIT 1"
_LETTERS = f"""
UPDATE dead_letter SET value = NULL, headers = '[]', key = CASE WHEN key = ANY(%(keys)s) THEN key END,
    subject = CASE WHEN key = ANY(%(keys)s) THEN subject END,
    state = CASE WHEN state = 'dead' THEN 'dropped' ELSE state END, settled_at = coalesce(settled_at, now())
WHERE {_HOLDS} AND {_CONCERNED} RETURNING 1
"""
_QUARANTINED = f"DELETE FROM outbox_quarantine WHERE {_CONCERNED} RETURNING 1"


def is_waiting(transaction: Transaction, subjects: Sequence[str]) -> bool:
    """Whether an event about one of these subjects is still to be sent."""
    return bool(transaction.execute(_WAITING, keys=[subject.encode() for subject in subjects]))


def erase(transaction: Transaction, subjects: Sequence[str], texts: Sequence[str]) -> dict[str, int]:
    """Erase the messages that are about these subjects or contain one of these texts, and return how many rows of each
    kind were erased."""
    cases = {case for one in texts for case in (one, one.lower(), one.upper())}
    params = {"keys": [one.encode() for one in subjects], "texts": [one.encode() for one in sorted(cases)]}
    return {
        "deadLetters": len(transaction.execute(_LETTERS, **params)),
        "quarantined": len(transaction.execute(_QUARANTINED, **params)),
    }
