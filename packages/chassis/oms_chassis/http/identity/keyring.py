"""Looks up API keys for requests, in batches, and caches them for seconds. Writes now and then when they were last
used.

A revoked key keeps working in each replica until its cached entry is older than `key_cache_seconds`. However many
unknown keys arrive together, they cost one statement.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError

from oms_chassis.db import Database
from oms_chassis.http.groupcommit import GroupCommit, NotWritten, Undecided
from oms_chassis.http.identity import apikeys
from oms_chassis.http.identity.bounded import Bounded
from oms_chassis.http.identity.callers import Caller
from oms_chassis.http.identity.problems import CredentialsInvalid, IdentityUnavailable
from oms_chassis.statements import Row, Rows

WAIT, STATEMENT = 2.0, 1.5  # seconds that a request waits for the lookup of its key, and that the statement may take
REMEMBERED = 10_000  # keys, including those that do not exist
USES_EVERY, USES = 30.0, 1000  # seconds between two writes of last uses, and the number of keys per statement

_FIND = """
SELECT id, digest, subject, scopes, extract(epoch FROM expires_at)::float AS expires FROM api_key
WHERE digest = ANY(%(digests)s) AND revoked_at IS NULL AND coalesce(expires_at > now(), true)
"""
_USED = """
UPDATE api_key SET last_used_at = used.at FROM json_to_recordset(%(rows)s::json) AS used(id text, at timestamptz)
WHERE api_key.id = used.id AND coalesce(api_key.last_used_at < used.at, true)
"""


@dataclass(frozen=True, slots=True)
class Found:
    """The state of a key when the statement began. `caller` is None if the key does not exist or is no longer valid."""

    at: float  # on the monotonic clock
    id: str = ""
    caller: Caller | None = None


class Keyring:
    """The keys of one service."""

    def __init__(self, database: Database, seconds: float) -> None:
        self._database, self._seconds = database, seconds
        self._known: Bounded[Found] = Bounded(REMEMBERED)
        self._uses: dict[str, datetime] = {}
        self.lookups: GroupCommit[str, Found] = GroupCommit("api-keys", self.find, seconds=WAIT)

    async def caller(self, key: str) -> Caller:
        """Return the caller whose key this is. Raises CredentialsInvalid or IdentityUnavailable."""
        if not apikeys.is_key(key):
            raise CredentialsInvalid
        digest = apikeys.digest(key)
        found = self._known.get(digest)
        if found is None or time.monotonic() > found.at + self._seconds:
            found = await self._look_up(digest)
            self._known.put(digest, found)
        if found.caller is None or (found.caller.until is not None and found.caller.until <= time.time()):
            raise CredentialsInvalid
        self._uses[found.id] = datetime.now(UTC)
        return found.caller

    async def _look_up(self, digest: str) -> Found:
        try:
            return await self.lookups.submit(digest)
        except (NotWritten, Undecided, SQLAlchemyError):
            raise IdentityUnavailable from None

    def find(self, digests: list[str]) -> Sequence[Found | Exception]:
        """Look these keys up in the database."""
        began = time.monotonic()
        found = {row.digest: Found(began, row.id, _caller(row)) for row in self._find_rows(digests)}
        return [found.get(digest) or Found(began) for digest in digests]

    def _find_rows(self, digests: list[str]) -> Rows:
        return self._database.execute(_FIND, digests=list(set(digests)))

    def write_uses(self) -> float | None:
        """Write when keys were last used, as many as one statement takes. Return the seconds after which to call again,
        if any are left."""
        rows = [{"id": key_id, "at": self._uses.pop(key_id)} for key_id in sorted(self._uses)[:USES]]
        if rows:
            with self._database.transaction() as transaction:
                transaction.execute_rows(_USED, rows)
        return 1.0 if self._uses else None


def _caller(row: Row) -> Caller:
    return Caller(row.subject, frozenset(row.scopes), row.expires)
