"""Compares a database with the tables, and generates the migration between them."""

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
    """Return the differences between a migrated database and the tables, including the chassis's, which every service
    has.

    Alembic does not compare CHECK constraints: these are compared by name here.
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
    """Return all tables of several registries in one."""
    result = sa.MetaData()
    for metadata in several:
        for table in metadata.sorted_tables:
            table.to_metadata(result)
    return result


def revision(database: Database, package: str, metadata: sa.MetaData, message: str) -> Path:
    """Write the migration from the newest version to the tables, and return its file."""
    number = 1 + int(head(package) or 0)
    with database.engine.connect() as connection:
        config = configuration(package)
        config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
        config.attributes.update(connection=connection, options=_OPTIONS)
        config.attributes["metadata"] = merged([metadata, ChassisTables.metadata])
        script = command.revision(config, message, autogenerate=True, rev_id=f"{number:04}")
        connection.rollback()
    return Path(script.path)  # type: ignore[union-attr] # one revision, one script
