"""What the documentation and the workflows name exists: targets, scripts, files and modules."""

import importlib
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob(".github/**/*.*"), *ROOT.glob(".*.yaml")])
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
MAKE = re.compile(r"(?:^|`|run: |entry: )make ([a-z][a-z-]*)", re.MULTILINE)
FILE = re.compile(r"`((?:packages|services|charts|tests|docs|benchmarks|k8s)/[\w./-]+)`")
PLACEHOLDER = re.compile(r"\b[A-Z]+\b|NNNN")  # services/NAME
MODULE = re.compile(r"`(oms_\w+(?:\.\w+)+)`")
SCRIPT = re.compile(r"\bscripts/[\w-]+\.(?:sh|py)\b")

every_place = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.relative_to(ROOT).as_posix())


@every_place
def test_a_target_of_make_that_is_named_exists(place: Path) -> None:
    assert set(MAKE.findall(place.read_text())) <= TARGETS


@every_place
def test_a_script_that_is_named_exists(place: Path) -> None:
    assert [name for name in SCRIPT.findall(place.read_text()) if not (ROOT / name).is_file()] == []


@every_place
def test_a_file_that_is_named_exists(place: Path) -> None:
    named = [name for name in FILE.findall(place.read_text()) if not PLACEHOLDER.search(name)]
    assert [name for name in named if not (ROOT / name).exists()] == []


@every_place
def test_a_module_that_is_named_exists_or_holds_the_name(place: Path) -> None:
    assert [name for name in MODULE.findall(place.read_text()) if not exists(name)] == []


def exists(name: str) -> bool:
    """Whether it is a module, or a name in one."""
    parent, _, last = name.rpartition(".")
    try:
        holder = importlib.import_module(parent)
        return hasattr(holder, last) or importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def test_make_lists_every_target_that_it_declares() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    assert set(phony[1].split()) == TARGETS


def test_the_patterns_find_what_they_are_for() -> None:
    text = "make up\nRun `make test-cluster`, then scripts/lint.sh.\n      - run: make lint\nThey make it slow.\n"
    assert MAKE.findall(text) == ["up", "test-cluster", "lint"]
    assert SCRIPT.findall(text) == ["scripts/lint.sh"]
    assert FILE.findall("`services/sms` and `charts/oms/values.yaml`") == ["services/sms", "charts/oms/values.yaml"]
    assert MODULE.findall("`oms_order.domain`") == ["oms_order.domain"]
    assert exists("oms_order.domain")
    assert exists("support.chassis.eventually")
    assert not exists("support.chassis.never")
    assert not exists("oms_nothing.at.all")
