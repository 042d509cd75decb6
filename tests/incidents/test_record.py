"""What was measured is kept, and shown as it was."""

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


def test_a_page_has_a_line_for_each_incident_by_its_last_run(capsys: pytest.CaptureFixture[str]) -> None:
    record.write(replace(ONE, recovered=99.0))
    record.write(replace(ONE, fault="another fault"))
    record.write(ONE)
    assert reliability.main() == 0
    page = capsys.readouterr().out
    assert "| a fault | 15.0 | 0.5 | 3.0 | 60 | 2 | 1 | hold |" in page
    assert "| another fault |" in page
    assert "99.0" not in page


def test_a_rule_that_was_broken_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    record.write(replace(ONE, broken=["orders-are-terminal"]))
    reliability.main()
    assert "| broken: orders-are-terminal |" in capsys.readouterr().out
