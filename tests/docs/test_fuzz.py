"""The page about the long fuzz tests."""

from pathlib import Path

import pytest
from support.scripts import ROOT, load

fuzz = load("fuzz")
PAGE = ROOT / "docs" / "reliability.md"


def test_the_page_says_how_many_requests_were_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMS_EXAMPLES", "6000")
    (file := tmp_path / "fuzz.txt").write_text(
        "order: every answer is right 12345\ninventory: every answer is right 12000\n"
    )
    (page := tmp_path / "page.md").write_text(PAGE.read_text())
    assert fuzz.main(file, page) == 0
    assert "24,345 requests by the documents, and 6,000 of each other kind" in page.read_text()
    assert "| inventory: every answer is right | 12000 |\n| order: every answer is right | 12345 |" in page.read_text()


def test_too_few_requests_are_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (file := tmp_path / "fuzz.txt").write_text("order: every answer is right 19999\n")
    (page := tmp_path / "page.md").write_text(PAGE.read_text())
    assert fuzz.main(file, page) == 1
    assert page.read_text() == PAGE.read_text()
    assert "fewer than 20,000" in capsys.readouterr().err
