"""Builds indexes of large tables while these are written to (CREATE INDEX CONCURRENTLY).

Such a build reads the table twice, and waits for every transaction that was open when it began, but nobody waits for
it. It is not part of a transaction: earlier changes of its migration are committed before it. So it must be alone in
its migration, which may be interrupted at any point and run again.
"""

from collections.abc import Sequence
from typing import Any

from alembic import op

LOCK_TIMEOUT = "5min"  # to wait for open transactions to end; after that, the migration is blocked, and retried
_BROKEN_OFF = """
SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(format('%%I', %(name)s::text)) AND NOT indisvalid
"""


def create(name: str, table: str, columns: Sequence[Any], **options: Any) -> None:
    """Build an index, instead of `op.create_index`, and rebuild it if an earlier attempt was interrupted."""
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        connection.exec_driver_sql(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
        if connection.exec_driver_sql(_BROKEN_OFF, {"name": name}).first():
            op.drop_index(name, postgresql_concurrently=True)
        op.create_index(name, table, columns, if_not_exists=True, postgresql_concurrently=True, **options)
        connection.exec_driver_sql("SET lock_timeout = '1s'")
