"""The tables are the schema's source: what the migrations make is what the SQLModel classes say."""

import importlib

import pytest
from support.chassis import migrated

from oms_chassis.migrations.autogenerate import differences
from oms_contracts.topics import SERVICES


@pytest.mark.parametrize("service", SERVICES)
def test_the_migrations_make_what_the_tables_say(service: str, database_url: str) -> None:
    tables = importlib.import_module(f"oms_{service}.tables").Tables.metadata
    database = migrated(database_url, f"oms_{service}")
    try:
        assert differences(database, tables) == []
    finally:
        database.dispose()
