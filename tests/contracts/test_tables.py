"""The tables are the source of the schema: the migrations make what the SQLModel classes declare."""

import importlib

import pytest
from support.chassis import migrated

from oms_chassis.migrations.autogenerate import differences
from oms_contracts.topics import SERVICES

_STORAGE = """
SELECT relname, (SELECT jsonb_object_agg(option_name, option_value) FROM pg_options_to_table(reloptions)) AS options
FROM pg_class WHERE relname IN ('outbox', 'job', 'inbox') AND relkind = 'r'
"""


@pytest.mark.parametrize("service", SERVICES)
def test_tables_whose_rows_come_and_go_are_vacuumed_often(service: str, database_url: str) -> None:
    """By default, Postgres waits until a fifth of a table is dead, which each query for its first row steps over."""
    database = migrated(database_url, f"oms_{service}")
    try:
        options = {row.relname: row.options or {} for row in database.execute(_STORAGE)}
    finally:
        database.dispose()
    for queue in ("outbox", "job"):
        assert options[queue]["autovacuum_vacuum_scale_factor"] == "0"
        assert int(options[queue]["autovacuum_vacuum_threshold"]) <= 1000
    assert float(options["inbox"]["autovacuum_vacuum_scale_factor"]) <= 0.02


@pytest.mark.parametrize("service", SERVICES)
def test_the_migrations_make_what_the_tables_declare(service: str, database_url: str) -> None:
    tables = importlib.import_module(f"oms_{service}.tables").Tables.metadata
    database = migrated(database_url, f"oms_{service}")
    try:
        assert differences(database, tables) == []
    finally:
        database.dispose()
