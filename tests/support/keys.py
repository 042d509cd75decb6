"""Puts API keys into a service's database, as `oms keys create` does."""

from oms_chassis.db import Database
from oms_chassis.http.identity import apikeys
from oms_chassis.migrations.keys import create_api_keys

_ADD = """
INSERT INTO api_key (id, digest, subject, scopes, expires_at)
VALUES (%(id)s, %(digest)s, %(subject)s, %(scopes)s, now() + make_interval(secs => %(seconds)s))
"""


def add_key(database: Database, subject: str, *scopes: str, seconds: float | None = None) -> str:
    """Return a new key, which expires after this many seconds, if given."""
    key = apikeys.new()
    row = {"id": key.id, "digest": key.digest, "subject": subject, "scopes": list(scopes), "seconds": seconds}
    database.execute(_ADD, **row)
    return key.text


def create_table(database: Database) -> None:
    """Create the table of keys in a database that has only the chassis's tables."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    with database.engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        create_api_keys()
