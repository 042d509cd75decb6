"""Migrations from tables: what a database lacks of what the tables say, and the migration that would add it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from oms_chassis.db import Database
from oms_chassis.migrations import configuration, head
from oms_chassis.tables import ChassisTables

_OPTIONS = {"compare_type": True, "compare_server_default": True}


def differences(database: Database, metadata: sa.MetaData) -> list[Any]:
    """Where a migrated database is not what the tables say; the chassis's own tables are part of every service's.

    Alembic compares no CHECK constraints: those are compared by name here.
    """
    tables = merged([metadata, ChassisTables.metadata])
    with database.engine.connect() as connection:
        found: list[Any] = compare_metadata(MigrationContext.configure(connection, opts=_OPTIONS), tables)
        return [*found, *_checks(sa.inspect(connection), tables)]


def _checks(inspector: sa.Inspector, tables: sa.MetaData) -> Iterator[str]:
    for table in tables.sorted_tables:
        if not inspector.has_table(table.name):
            continue
        wanted = {str(one.name) for one in table.constraints if isinstance(one, sa.CheckConstraint)}
        present = {str(one["name"]) for one in inspector.get_check_constraints(table.name)}
        yield from (f"{table.name}: CHECK {name}" for name in sorted(wanted ^ present))


def merged(several: Sequence[sa.MetaData]) -> sa.MetaData:
    """All tables of several registries in one."""
    result = sa.MetaData()
    for metadata in several:
        for table in metadata.sorted_tables:
            table.to_metadata(result)
    return result


def revision(database: Database, package: str, metadata: sa.MetaData, message: str) -> Path:
    """Write the migration that brings a database at the newest version to what the tables say; its file."""
    number = 1 + int(head(package) or 0)
    with database.engine.connect() as connection:
        config = configuration(package)
        config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
        config.attributes.update(connection=connection, options=_OPTIONS)
        config.attributes["metadata"] = merged([metadata, ChassisTables.metadata])
        script = command.revision(config, message, autogenerate=True, rev_id=f"{number:04}")
        connection.rollback()
    return Path(script.path)  # type: ignore[union-attr] # one revision, one script
