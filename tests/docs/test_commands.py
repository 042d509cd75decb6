"""What the documentation and the workflows say to run exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob(".github/**/*.*"), *ROOT.glob(".*.yaml")])
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
MAKE = re.compile(r"(?:^|`|run: |entry: )make ([a-z][a-z-]*)", re.MULTILINE)
SCRIPT = re.compile(r"\bscripts/[\w-]+\.(?:sh|py)\b")

every_place = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.relative_to(ROOT).as_posix())


@every_place
def test_a_target_of_make_that_is_named_exists(place: Path) -> None:
    assert set(MAKE.findall(place.read_text())) <= TARGETS


@every_place
def test_a_script_that_is_named_exists(place: Path) -> None:
    assert [name for name in SCRIPT.findall(place.read_text()) if not (ROOT / name).is_file()] == []


def test_make_lists_every_target_that_it_declares() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    assert set(phony[1].split()) == TARGETS


def test_the_patterns_find_what_they_are_for() -> None:
    text = "make up\nRun `make test-cluster`, then scripts/lint.sh.\n      - run: make lint\nThey make it slow.\n"
    assert MAKE.findall(text) == ["up", "test-cluster", "lint"]
    assert SCRIPT.findall(text) == ["scripts/lint.sh"]
