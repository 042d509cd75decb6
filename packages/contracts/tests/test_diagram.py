"""The picture in the README and on the architecture page is what the topics say."""

import re
from pathlib import Path

import pytest

from oms_contracts import diagram
from oms_contracts.__main__ import PAGES, main, stale, write
from oms_contracts.topics import SERVICES, TOPICS

Edge = tuple[str, str, str]
EDGE = re.compile(r'(\w+) -->\|"(.+)"\| (.+)')


def edges(flowchart: str) -> list[Edge]:
    """(publisher, event, reader) of every arrow that shows topics."""
    return [
        (publisher, event, reader)
        for publisher, events, readers in EDGE.findall(flowchart)
        for event in events.split("<br>")
        for reader in readers.split(" & ")
    ]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text(f"# A page\n\n{diagram.BEGIN}\nan old picture\n{diagram.END}\n\nMore.\n")
    return path


def test_the_picture_has_each_event_of_each_reader_once_and_no_other() -> None:
    wanted = [(topic.emitted_by, topic.name, reader) for topic in TOPICS for reader in topic.read_by]
    assert sorted(edges(diagram.flowchart())) == sorted(wanted)


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_in_the_picture_by_its_name(service: str) -> None:
    assert re.search(rf"^ +{service}\[{service}\]$", diagram.flowchart(), re.IGNORECASE | re.MULTILINE)


def test_the_pages_of_this_repository_are_up_to_date() -> None:
    assert stale(PAGES) == []


def test_a_page_with_an_old_picture_fails_the_check_by_name(
    page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    assert main(["--check"], tmp_path, [page]) == 1
    assert "page.md" in capsys.readouterr().err
    assert "an old picture" in page.read_text()


def test_drawing_replaces_what_is_between_the_marks_and_nothing_else(page: Path, tmp_path: Path) -> None:
    assert main([], tmp_path, [page]) == 0
    text = page.read_text()
    assert diagram.flowchart() in text
    assert "an old picture" not in text
    assert text.startswith("# A page\n\n")
    assert text.endswith("\n\nMore.\n")
    assert main(["--check"], tmp_path, [page]) == 0


@pytest.mark.parametrize(
    "text",
    [
        "no marks",
        f"{diagram.BEGIN}\n",
        f"{diagram.END}\n{diagram.BEGIN}\n",
        f"{diagram.BEGIN}\n{diagram.END}\n{diagram.BEGIN}\n{diagram.END}\n",
    ],
)
def test_a_page_without_both_marks_is_an_error_and_no_silence(text: str) -> None:
    with pytest.raises(ValueError, match="in this order and once"):
        diagram.drawn(text)
