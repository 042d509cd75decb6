"""Tables are the source of the schema: statements take their columns from them, and migrations are generated from
them."""

import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import CheckConstraint, MetaData, Text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel
from support.chassis import chassis_only, migrated

from oms_chassis import migrations
from oms_chassis.db import Database
from oms_chassis.migrations.autogenerate import differences, revision
from oms_chassis.tables import ChassisTables, assigned, columns, names, typed

FIRST = """
from oms_chassis.migrations.shared import create_chassis_tables, create_outbox_quarantine
from oms_chassis.migrations.shared import extend_jobs, know_ended_attempts
from oms_chassis.migrations.operators import create_audit_log, create_dead_letters

revision = "0001"
down_revision = None


def upgrade():
    create_chassis_tables()
    create_outbox_quarantine()
    extend_jobs()
    know_ended_attempts()
    create_audit_log()
    create_dead_letters()
"""


class Tables(SQLModel, registry=registry()):
    pass


class Parcel(Tables, table=True):
    __tablename__ = "parcel"
    __table_args__ = (CheckConstraint("weight > 0", name="parcel_weight"),)

    id: UUID = Field(primary_key=True)
    address: str | None = Field(default=None, sa_type=Text)
    weight: int


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = chassis_only(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A service's package with one migration."""
    name = f"oms_{tmp_path.name.replace('-', '_')}"
    versions = tmp_path / name / "migrations" / "versions"
    versions.mkdir(parents=True)
    (tmp_path / name / "__init__.py").touch()
    (versions / "0001_first.py").write_text(FIRST)
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def test_a_statement_s_columns_are_those_of_the_table() -> None:
    assert names(Parcel) == "id, address, weight"
    assert names(Parcel, without=("weight",), of="p") == "p.id, p.address"
    assert names(Parcel, "weight", "id") == "weight, id"
    assert assigned(Parcel, "address", "weight", of="r") == "address = r.address, weight = r.weight"
    assert assigned(Parcel, without=("id", "address"), of="r") == "weight = r.weight"
    assert columns(Parcel, without=("id",)) == ("address", "weight")
    assert typed(Parcel, without=("weight",), key="text") == "id uuid, address text, key text"


def test_the_first_migration_creates_the_tables_that_every_service_has(database: Database) -> None:
    assert differences(database, MetaData()) == []


def test_tables_and_columns_that_the_database_lacks_are_named(database: Database) -> None:
    database.execute("ALTER TABLE job DROP COLUMN last_error")
    database.execute("DROP INDEX inbox_received_at")
    found = str(differences(database, MetaData()))
    assert "last_error" in found
    assert "inbox_received_at" in found
    assert "add_table" in str(differences(database, Tables.metadata))


def test_a_constraint_that_only_one_side_has_is_named(database: Database) -> None:
    Tables.metadata.create_all(database.engine)
    assert differences(database, Tables.metadata) == []
    database.execute("ALTER TABLE parcel DROP CONSTRAINT parcel_weight")
    assert differences(database, Tables.metadata) == ["parcel: CHECK parcel_weight"]


def test_a_generated_migration_makes_the_database_match_the_tables(database_url: str, package: str) -> None:
    database = migrated(database_url, package)
    try:
        path = revision(database, package, Tables.metadata, "Parcels")
        assert path.name == "0002_parcels.py"
        migrations.upgrade(database, package)
        assert differences(database, Tables.metadata) == []
    finally:
        database.dispose()


def test_the_registries_share_no_table() -> None:
    assert not Tables.metadata.tables.keys() & ChassisTables.metadata.tables.keys()
