"""The `oms` commands in the documents are valid; those of the runbooks are tested with the chart."""

from pathlib import Path

import pytest
from support.documented import Refused, commands, parse, words

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "charts/oms/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "adr").glob("*.md")),
]
GIVEN = [
    pytest.param(command, id=f"{page.stem}: {command[:60]}")
    for page in PAGES
    for command in dict.fromkeys(commands(page.read_text(), "oms"))
]


@pytest.mark.parametrize("command", GIVEN)
def test_oms_accepts_the_commands_of_a_document(command: str) -> None:
    parse(words(command))


def test_the_commands_of_a_document_are_found() -> None:
    assert len(GIVEN) > 60


@pytest.mark.parametrize(
    "wrong",
    ["oms ordre list", "oms order list --nothing", "oms payments resolve --close", "oms jobs list|lost --queue x"],
)
def test_a_command_that_does_not_exist_is_noticed(wrong: str) -> None:
    with pytest.raises((AssertionError, Refused)):
        parse(words(wrong))
