"""What every migration keeps to, so that the release before it works on its schema, and can come back to it."""

import ast
from pathlib import Path

import pytest

from oms_contracts.topics import SERVICES

SERVICES_FOLDER = Path(__file__).parents[2] / "services"
TAKES_AWAY = {"drop_column", "drop_table", "rename_table", "alter_column"}
# The migrations that may, as (service, revision): no release that comes back needs what they take.
CONTRACTS = {
    ("inventory", "0003"),  # a view keeps the name that the table had
}


def versions(service: str) -> list[Path]:
    return sorted((SERVICES_FOLDER / service / f"oms_{service}" / "migrations" / "versions").glob("[0-9]*.py"))


def upgrade_calls(path: Path) -> set[str]:
    """The names of what a migration's upgrade() calls."""
    (upgrade,) = (
        node
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == "upgrade"
    )
    return {
        node.func.attr
        for node in ast.walk(upgrade)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }


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
