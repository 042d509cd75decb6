"""The glossary is true: each term names a module that exists."""

import importlib.util
import re
from pathlib import Path

import pytest

GLOSSARY = Path(__file__).parents[2] / "docs" / "glossary.md"
HEAD = {"term", "---"}


def rows() -> list[tuple[str, str, str]]:
    """Return (term, meaning, module) of every row of the tables."""
    lines = [line.strip("| ").split(" | ") for line in GLOSSARY.read_text().splitlines() if line.startswith("| ")]
    return [(term, meaning, module) for term, meaning, module in lines if term not in HEAD]


def modules() -> list[str]:
    """Return every module that the page names."""
    return sorted(set(re.findall(r"`((?:oms_\w+|invariants)(?:\.\w+)*)`", GLOSSARY.read_text())))


def exists(module: str) -> bool:
    """Whether a module can be found, without running it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("module", modules())
def test_a_module_that_the_glossary_names_exists(module: str) -> None:
    assert exists(module)


def test_a_module_that_does_not_exist_would_be_noticed() -> None:
    assert not exists("oms_chassis.nothing")
    assert not exists("oms_chassis.messaging.outbox.relay")
    assert not exists("oms_nothing.outbox")


def test_every_term_names_a_module() -> None:
    assert rows()
    assert [term for term, _, module in rows() if module.strip("`") not in modules()] == []


def test_no_term_is_explained_twice() -> None:
    terms = [word for term, _, _ in rows() for word in term.split(", ")]
    assert sorted(terms) == sorted(set(terms))
