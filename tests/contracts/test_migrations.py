"""What every migration keeps to, so that the release before it works on its schema, and can come back to it."""

import ast
from pathlib import Path

import pytest

from oms_contracts.topics import SERVICES

SERVICES_FOLDER = Path(__file__).parents[2] / "services"
TAKES_AWAY = {"drop_column", "drop_table", "rename_table", "alter_column", "drop_index"}
# The migrations that may, as (service, revision): no release that comes back needs what they take.
CONTRACTS = {
    ("inventory", "0003"),  # a view keeps the name that the table had
    ("inventory", "0014"),  # another index begins with the same column
}
# The migrations that index a table of an earlier one in their transaction, while nobody writes to it: from before there
# was another way. `oms_chassis.migrations.indexes` builds an index while the table is written to.
HOLD_UP = {("order", "0007"), ("order", "0008"), ("inventory", "0009")}


def versions(service: str) -> list[Path]:
    return sorted((SERVICES_FOLDER / service / f"oms_{service}" / "migrations" / "versions").glob("[0-9]*.py"))


def operations(path: Path) -> list[tuple[str, list[object]]]:
    """What a migration's upgrade() calls, with the arguments that are constants."""
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
    """The names of what a migration's upgrade() calls."""
    return {name for name, _ in operations(path)}


def indexed(path: Path) -> set[object]:
    """The tables that a migration indexes in its transaction, and has not made itself."""
    made = {given[0] for name, given in operations(path) if name == "create_table"}
    return {given[1] for name, given in operations(path) if name == "create_index"} - made


def assigned(path: Path) -> dict[str, object]:
    """The constants of a migration: revision, down_revision."""
    return {
        node.targets[0].id: node.value.value
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }


@pytest.mark.parametrize("service", SERVICES)
def test_revisions_count_up(service: str) -> None:
    """A service finds out by comparing them that a database is ahead of it."""
    before = None
    for number, path in enumerate(versions(service), 1):
        constants = assigned(path)
        assert (path.name[:5], constants["revision"]) == (f"{number:04}_", f"{number:04}")
        assert constants["down_revision"] == before
        before = constants["revision"]
    assert before


@pytest.mark.parametrize("service", SERVICES)
def test_a_migration_adds_and_takes_nothing_away(service: str) -> None:
    for path in versions(service):
        if (service, path.name[:4]) not in CONTRACTS:
            assert not upgrade_calls(path) & TAKES_AWAY, path


def test_what_takes_away_is_found(tmp_path: Path) -> None:
    migration = tmp_path / "0002_less.py"
    migration.write_text("def upgrade():\n    op.drop_column('a', 'b')\n\ndef downgrade():\n    op.drop_table('a')\n")
    assert upgrade_calls(migration) == {"drop_column"}


@pytest.mark.parametrize("service", SERVICES)
def test_an_index_of_a_table_that_is_in_use_holds_nobody_up(service: str) -> None:
    assert {(service, path.name[:4]) for path in versions(service) if indexed(path)} <= HOLD_UP


def test_an_index_that_holds_writers_up_is_found(tmp_path: Path) -> None:
    migration = tmp_path / "0002_index.py"
    migration.write_text(
        "def upgrade():\n    op.create_table('b')\n    op.create_index('i', 'b', ['c'])\n"
        "    op.create_index('j', 'a', ['c'])\n    indexes.create('k', 'd', ['c'])\n"
    )
    assert indexed(migration) == {"a"}
