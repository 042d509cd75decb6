"""The list of words finds the listed words, and no others."""

import re

import pytest
from support.scripts import ROOT, load

words = load("words")


def found(text: str) -> list[str]:
    return [finding.found for finding in words.in_text("page.md", text)]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Events are worked off in batches", "worked off"),
        ("It is started anew.", "anew"),
        ("Customers were told", "told"),
        ("Tell the others", "Tell"),
        ("An order stands still", "stands"),
        ("rows = database.read(SQL)", "database.read"),
        ("class Taking(Tables):", "Taking"),
        ("class _Runner:", "Runner"),
        ("def test_a_customer_was_told_once() -> None:", "told"),
        ("stock_is_taken = 1", "stock_is_taken"),
        ("if ours.is_taken_anew:", "anew"),
        ("OMS_INBOX_URL=http", "OMS_INBOX_URL"),
        ("platform.inbox_url", "inbox_url"),
    ],
)
def test_a_word_that_was_given_up_is_found(text: str, word: str) -> None:
    assert found(text) == [word]


@pytest.mark.parametrize(
    "text",
    [
        "standing by",
        "The other relays stand by",
        "It stands in for a provider",
        "intelligible",
        "besides",
        "parts of it",
        "the inbox remembers event ids",
        "a threadRunners",
        "the minor version",
        "end = file.tell()",
        "OMS_MIGRATE_PATIENCE_SECONDS",
        "oms_orders_strays_total",
        "stand-ins",
    ],
)
def test_a_word_that_only_looks_similar_is_not_found(text: str) -> None:
    assert found(text) == []


def test_a_finding_says_where_it_is_and_what_to_write() -> None:
    (finding,) = words.in_text("docs/page.md", "fine\nprocess it anew\n")
    assert str(finding) == "docs/page.md:2: 'anew': write again"


def test_a_word_fails_the_check_and_a_report_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    page = ROOT / "build" / "words-test.md"
    page.parent.mkdir(exist_ok=True)
    page.write_text("It was worked off.\n")
    try:
        assert words.main([str(page)]) == 1
        assert "build/words-test.md:1" in capsys.readouterr().out
        assert words.main(["--report", str(page)]) == 0
        assert "1 words to replace: worked off 1" in capsys.readouterr().out
        page.write_text("It was processed.\n")
        assert words.main([str(page)]) == 0
    finally:
        page.unlink()


def test_the_glossary_uses_only_its_own_words() -> None:
    prose = re.sub(r"`[^`]*`", "", (ROOT / "docs" / "glossary.md").read_text())
    assert list(words.in_text("docs/glossary.md", prose)) == []
