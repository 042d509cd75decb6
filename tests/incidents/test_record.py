"""Measurements are recorded, and shown unchanged."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.scripts import load

from incidents import record
from incidents.record import Measured

reliability = load("reliability")
ONE = Measured("a fault", 15.0, 0.5, 3.0, accepted=60, refused=2, in_doubt=1, broken=[])


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "build" / "incidents.json"
    monkeypatch.setattr(record, "FILE", file)
    monkeypatch.setattr(reliability, "FILE", file)
    return file


@pytest.fixture
def page(tmp_path: Path) -> Path:
    page = tmp_path / "page.md"
    page.write_text(f"# Reliability\n{reliability.BEGIN}\nas it was\n{reliability.END}\nAfter.\n")
    return page


def test_a_page_has_a_line_for_each_incident_by_its_last_run(page: Path) -> None:
    record.write(replace(ONE, recovered=99.0))
    record.write(replace(ONE, fault="another fault"))
    record.write(ONE)
    assert reliability.main([str(page)]) == 0
    text = page.read_text()
    assert "| a fault | 15.0 | 0.5 | 3.0 | 60 | 2 | 1 | hold |" in text
    assert "| another fault |" in text
    assert "99.0" not in text
    assert "as it was" not in text
    assert text.startswith("# Reliability\n")
    assert text.endswith("After.\n")


def test_a_rule_that_was_broken_is_named(page: Path) -> None:
    record.write(replace(ONE, broken=["orders-are-terminal"]))
    reliability.main([str(page)])
    assert "| broken: orders-are-terminal |" in page.read_text()
