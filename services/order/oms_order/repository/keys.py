"""Idempotency keys. They are written by the statement that writes their orders: see placing.py."""

from oms_chassis.db import Database

CHUNK = 5000  # keys that one statement forgets: it has its bounds, too
_PRUNE = """
WITH old AS (
    SELECT scope, key FROM idempotency WHERE created_at < now() - make_interval(secs => %(seconds)s) LIMIT %(chunk)s
), pruned AS (
    DELETE FROM idempotency USING old WHERE (idempotency.scope, idempotency.key) = (old.scope, old.key) RETURNING 1
)
SELECT count(*) AS pruned FROM pruned
"""


def prune(database: Database, days: float) -> None:
    """Forget keys older than that, a chunk at a time."""
    while database.execute(_PRUNE, seconds=days * 86400, chunk=CHUNK)[0].pruned == CHUNK:
        pass
