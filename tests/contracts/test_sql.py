"""A service's SQL is in its repository, and names no table of the chassis."""

import ast
import re
from pathlib import Path

import pytest

from oms_chassis.tables import ChassisTables

SERVICES = Path(__file__).parents[2] / "services"
STATEMENT = re.compile(
    r"\s*(SELECT\s.*\sFROM\s|INSERT INTO\s|UPDATE\s+\w+\s+SET\s|DELETE FROM\s|WITH\s+\w+\s+AS\s)", re.DOTALL
)
NAMES = "|".join(ChassisTables.metadata.tables)
FOREIGN = re.compile(rf"\b(FROM|INTO|JOIN|UPDATE|USING)\s+({NAMES})\b")


def modules() -> list[Path]:
    return [path for path in SERVICES.glob("*/oms_*/**/*.py") if "migrations" not in path.parts]


def texts(source: str) -> list[str]:
    """Return every string of a module, including f-strings, without its docstrings."""
    nodes = list(ast.walk(ast.parse(source)))
    alone = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    found = []
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            found.append("".join(str(one.value) if isinstance(one, ast.Constant) else "x" for one in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            found.append(node.value)
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(SERVICES).as_posix())
def test_only_a_repository_contains_sql_and_it_names_no_table_of_the_chassis(path: Path) -> None:
    found = texts(path.read_text())
    if "repository" not in (path.stem, path.parent.name):
        assert not [text for text in found if STATEMENT.match(text)]
    assert not [text for text in found if FOREIGN.search(text)]


def test_sql_is_recognised_everywhere() -> None:
    source = '"""SELECT a docstring FROM nowhere"""\nX = f"SELECT {A} FROM item"\ndef f(): g("DELETE FROM outbox")'
    assert [bool(STATEMENT.match(text)) for text in texts(source)].count(True) == 2
    assert [bool(FOREIGN.search(text)) for text in texts(source)].count(True) == 1
