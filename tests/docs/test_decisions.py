"""Each decision record says its status and date, and the index lists all of them."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "adr"
RECORDS = sorted(FOLDER.glob("[0-9]*.md"))
FORM = re.compile(r"# (\d+)\. (.+)\n\n- Status: (accepted|proposed|superseded by \d+)\n- Date: \d{4}-\d\d-\d\d\n\n")


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_record_begins_with_number_title_status_and_date(record: Path) -> None:
    head = FORM.match(record.read_text())
    assert head
    assert int(head[1]) == int(record.name[:4])


def test_the_index_lists_every_record_by_its_title_and_status() -> None:
    heads = [(record, FORM.match(record.read_text())) for record in RECORDS]
    wanted = [f"| {head[1]} | [{head[2]}]({record.name}) | {head[3]} |" for record, head in heads if head]
    index = (FOLDER / "README.md").read_text().splitlines()
    assert [line for line in index if re.match(r"\| \d", line)] == wanted
