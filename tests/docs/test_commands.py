"""The commands of `oms` that documents give can be given; those of the runbooks are among the chart's tests."""

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
def test_oms_takes_what_a_document_says(command: str) -> None:
    parse(words(command))


def test_what_a_document_says_is_found() -> None:
    assert len(GIVEN) > 60


@pytest.mark.parametrize(
    "wrong",
    ["oms ordre list", "oms order list --nothing", "oms payments resolve --close", "oms jobs list|lost --queue x"],
)
def test_a_command_that_there_is_not_is_noticed(wrong: str) -> None:
    with pytest.raises((AssertionError, Refused)):
        parse(words(wrong))
