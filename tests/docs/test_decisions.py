"""Each decision record has its status, date and parts and about a page, and the index lists all of them."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "adr"
RECORDS = sorted(FOLDER.glob("[0-9]*.md"))
PAGE = 800  # words
FORM = re.compile(r"# (\d+)\. (.+)\n\n- Status: (accepted|proposed|superseded by \d+)\n- Date: \d{4}-\d\d-\d\d\n\n")


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_record_begins_with_number_title_status_and_date(record: Path) -> None:
    head = FORM.match(record.read_text())
    assert head
    assert int(head[1]) == int(record.name[:4])


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_record_says_what_was_decided_why_and_what_follows_on_about_a_page(record: Path) -> None:
    text = record.read_text()
    parts = re.findall(r"^\*\*(\w+)", text, re.MULTILINE)
    assert {"Decision", "Consequences"} <= {*parts}
    assert {"Context", "Why"} & {*parts}
    assert max(parts.count(part) for part in ("Decision", "Consequences", "Alternatives")) == 1
    assert len(text.split()) <= PAGE


def test_the_index_lists_every_record_by_its_title_and_status() -> None:
    heads = [(record, FORM.match(record.read_text())) for record in RECORDS]
    wanted = [f"| {head[1]} | [{head[2]}]({record.name}) | {head[3]} |" for record, head in heads if head]
    index = (FOLDER / "README.md").read_text().splitlines()
    assert [line for line in index if re.match(r"\| \d", line)] == wanted
