"""The rows of API keys, which operators' commands read and write."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from oms_chassis.db import Database, Transaction
from oms_chassis.statements import Rows

_COLUMNS = "id, subject, scopes, created_at, expires_at, last_used_at, revoked_at"
_PUT = f"""
INSERT INTO api_key (id, digest, subject, scopes, expires_at)
VALUES (%(id)s, %(digest)s, %(subject)s, %(scopes)s, %(expires_at)s) ON CONFLICT DO NOTHING RETURNING {_COLUMNS}
"""
_SAME = f"""
SELECT {_COLUMNS} FROM api_key WHERE id = %(id)s AND digest = %(digest)s AND subject = %(subject)s
    AND scopes = %(scopes)s AND expires_at IS NOT DISTINCT FROM %(expires_at)s AND revoked_at IS NULL
"""
_LOCK = f"SELECT {_COLUMNS} FROM api_key WHERE id = %(id)s FOR UPDATE"
_REVOKE = f"""
UPDATE api_key SET revoked_at = coalesce(revoked_at, clock_timestamp()) WHERE id = %(id)s RETURNING {_COLUMNS}
"""
_PAGE = f"""
SELECT {_COLUMNS} FROM api_key
WHERE id > %(after)s AND (%(subject)s::text IS NULL OR subject = %(subject)s) ORDER BY id LIMIT %(limit)s
"""


@dataclass(frozen=True)
class KeyRow:
    """A key that is to be stored."""

    id: str
    digest: str
    subject: str
    scopes: Sequence[str]
    expires_at: datetime | None


def put(transaction: Transaction, key: KeyRow) -> tuple[Rows, bool]:
    """Store a key. Return its row, and whether it is new; no row if another key has this id, or the key is revoked."""
    params = {**asdict(key), "scopes": list(key.scopes)}
    created = transaction.execute(_PUT, **params)
    return (created, True) if created else (transaction.execute(_SAME, **params), False)


def lock(transaction: Transaction, key_id: str) -> Rows:
    """Lock a key until the transaction ends, and return it if it exists."""
    return transaction.execute(_LOCK, id=key_id)


def revoke(transaction: Transaction, key_id: str) -> Rows:
    """Revoke a key, unless it is revoked already."""
    return transaction.execute(_REVOKE, id=key_id)


def page(database: Database, subject: str | None, after: str, limit: int) -> Rows:
    """Return keys ordered by id, beginning after this one."""
    return database.execute(_PAGE, subject=subject, after=after, limit=limit)
