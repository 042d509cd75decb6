"""Indexes of tables that are large and are written to: built while that goes on (CREATE INDEX CONCURRENTLY).

Such a build reads the table twice and waits for every transaction that was open when it began, but nobody waits for it.
It is no part of a transaction: what its migration did before it is committed. So it is alone in its migration, which
may be broken off at any point and run again.
"""

from collections.abc import Sequence
from typing import Any

from alembic import op

LOCK_TIMEOUT = "5min"  # for transactions that were open to end; then the migration is blocked, and tried again
_BROKEN_OFF = """
SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(format('%%I', %(name)s::text)) AND NOT indisvalid
"""


def create(name: str, table: str, columns: Sequence[Any], **options: Any) -> None:
    """Build an index, instead of `op.create_index`; again, if an earlier try was broken off."""
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        connection.exec_driver_sql(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
        if connection.exec_driver_sql(_BROKEN_OFF, {"name": name}).first():
            op.drop_index(name, postgresql_concurrently=True)
        op.create_index(name, table, columns, if_not_exists=True, postgresql_concurrently=True, **options)
        connection.exec_driver_sql("SET lock_timeout = '1s'")
