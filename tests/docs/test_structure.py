"""The figures about the code's structure: import cycles are found, and there are none."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.scripts import load

Write = Callable[..., list[Path]]
structure = load("structure")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a package `oms_example` of these modules, each with its imports."""

    def write(**modules: str) -> list[Path]:
        package = tmp_path / "oms_example"
        (package / "wing").mkdir(parents=True, exist_ok=True)
        paths = [package / f"{name.replace('__', '/')}.py" for name in modules]
        for path, text in zip(paths, modules.values(), strict=True):
            path.write_text(text)
        for folder in (package, package / "wing"):
            (folder / "__init__.py").touch()
            paths.append(folder / "__init__.py")
        return paths

    return write


@pytest.mark.parametrize(
    "text",
    [
        "import oms_example.low",
        "from oms_example import low",
        "from oms_example.low import name",
        "from . import low",
        "from .low import name",
        "def later():\n    from oms_example import low",
    ],
)
def test_an_import_is_an_arrow_wherever_and_however_it_is_written(write: Write, text: str) -> None:
    arrows = structure.graph(write(high=text, low="import json"))
    assert arrows["oms_example.high"] == {"oms_example.low"}
    assert arrows["oms_example.low"] == set()


def test_a_relative_import_is_found_from_a_folder_below(write: Write) -> None:
    arrows = structure.graph(write(wing__room="from .. import low\nfrom .other import name", low="", wing__other=""))
    assert arrows["oms_example.wing.room"] == {"oms_example.low", "oms_example.wing.other"}


def test_modules_that_import_each_other_even_through_others_are_a_circle(write: Write) -> None:
    paths = write(
        a="import oms_example.b",
        b="import oms_example.c",
        c="def later():\n    import oms_example.a",
        above="import oms_example.a",
        below="",
    )
    assert structure.circles(structure.graph(paths)) == [["oms_example.a", "oms_example.b", "oms_example.c"]]


def test_the_layers_are_the_longest_chain_of_imports_within_a_package() -> None:
    arrows = {
        "oms_example.top": {"oms_example.ground", "oms_example.middle"},
        "oms_example.middle": {"oms_example.ground", "oms_other.deep"},
        "oms_example.ground": set[str](),
        "oms_other.deep": {"oms_other.deeper"},
        "oms_other.deeper": set[str](),
    }
    chain = ["oms_example.top", "oms_example.middle", "oms_example.ground"]
    assert structure.longest_path(arrows, "oms_example") == chain


def test_there_are_no_circles_in_this_project(capsys: pytest.CaptureFixture[str]) -> None:
    assert structure.main() == 0
    said = capsys.readouterr().out
    assert f"modules           {len(structure.sizes.modules())}" in said
    assert "import circles    0" in said
    assert " floors: " in said
