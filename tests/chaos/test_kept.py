"""Shortened schedules that once violated a rule no longer violate any."""

from pathlib import Path

import pytest

from chaos import schedule
from chaos.run import run_alone

SCHEDULES = sorted((Path(__file__).parent / "schedules").glob("*.json"))

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]


@pytest.mark.parametrize("file", SCHEDULES, ids=lambda file: file.stem)
def test_rules_that_were_once_violated_hold(file: Path) -> None:
    kept = schedule.read(file)
    report = run_alone(kept.rounds, kept.seed, kept.rate, print)
    assert report.is_sound, report.broken
