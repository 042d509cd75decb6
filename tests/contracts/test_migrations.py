"""Rules for every migration, so that the previous release works on its schema, and can be rolled back to."""

import ast
from pathlib import Path

import pytest

from oms_contracts.topics import SERVICES

SERVICES_FOLDER = Path(__file__).parents[2] / "services"
TAKES_AWAY = {"drop_column", "drop_table", "rename_table", "alter_column", "drop_index"}
# The exceptions, as (service, revision): no release that may be rolled back to needs what these remove.
CONTRACTS = {
    ("inventory", "0003"),  # a view keeps the name that the table had
    ("inventory", "0014"),  # another index begins with the same column
}
# Migrations that index an existing table in their transaction, which blocks writers: they are older than
# `oms_chassis.migrations.indexes`, which builds an index without blocking.
HOLD_UP = {("order", "0007"), ("order", "0008"), ("inventory", "0009")}


def versions(service: str) -> list[Path]:
    return sorted((SERVICES_FOLDER / service / f"oms_{service}" / "migrations" / "versions").glob("[0-9]*.py"))


def operations(path: Path) -> list[tuple[str, list[object]]]:
    """Return the calls in a migration's upgrade(), with their constant arguments."""
    (upgrade,) = (
        node
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == "upgrade"
    )
    return [
        (node.func.attr, [one.value for one in node.args if isinstance(one, ast.Constant)])
        for node in ast.walk(upgrade)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]


def upgrade_calls(path: Path) -> set[str]:
    """Return the names of the functions that a migration's upgrade() calls."""
    return {name for name, _ in operations(path)}


def indexed(path: Path) -> set[object]:
    """Return the tables that a migration indexes in its transaction, but has not made itself."""
    made = {given[0] for name, given in operations(path) if name == "create_table"}
    return {given[1] for name, given in operations(path) if name == "create_index"} - made


def assigned(path: Path) -> dict[str, object]:
    """Return the constants of a migration: revision, down_revision."""
    return {
        node.targets[0].id: node.value.value
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }


@pytest.mark.parametrize("service", SERVICES)
def test_revisions_count_up(service: str) -> None:
    """By comparing them, a service finds out that a database is ahead of it."""
    before = None
    for number, path in enumerate(versions(service), 1):
        constants = assigned(path)
        assert (path.name[:5], constants["revision"]) == (f"{number:04}_", f"{number:04}")
        assert constants["down_revision"] == before
        before = constants["revision"]
    assert before


@pytest.mark.parametrize("service", SERVICES)
def test_a_migration_adds_and_removes_nothing(service: str) -> None:
    for path in versions(service):
        if (service, path.name[:4]) not in CONTRACTS:
            assert not upgrade_calls(path) & TAKES_AWAY, path


def test_a_migration_that_removes_something_is_found(tmp_path: Path) -> None:
    migration = tmp_path / "0002_less.py"
    migration.write_text("def upgrade():\n    op.drop_column('a', 'b')\n\ndef downgrade():\n    op.drop_table('a')\n")
    assert upgrade_calls(migration) == {"drop_column"}


@pytest.mark.parametrize("service", SERVICES)
def test_indexing_a_table_in_use_blocks_nobody(service: str) -> None:
    assert {(service, path.name[:4]) for path in versions(service) if indexed(path)} <= HOLD_UP


def test_an_index_that_blocks_writers_is_found(tmp_path: Path) -> None:
    migration = tmp_path / "0002_index.py"
    migration.write_text(
        "def upgrade():\n    op.create_table('b')\n    op.create_index('i', 'b', ['c'])\n"
        "    op.create_index('j', 'a', ['c'])\n    indexes.create('k', 'd', ['c'])\n"
    )
    assert indexed(migration) == {"a"}
