"""Schedules that once broke something, made short, break nothing any more."""

from pathlib import Path

import pytest

from chaos import schedule
from chaos.run import run_alone

SCHEDULES = sorted((Path(__file__).parent / "schedules").glob("*.json"))
SEED, RATE = 1, 4.0

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("file", SCHEDULES, ids=lambda file: file.stem)
def test_what_was_once_broken_holds(file: Path) -> None:
    report = run_alone(schedule.read(file), SEED, RATE, print)
    assert report.is_sound, report.broken
