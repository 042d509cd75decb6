"""Fixtures for the tests of the consumer."""

import pytest

from oms_chassis.messaging import processing, progress


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processing, "RETRIES", (0.01, 0.01))
    monkeypatch.setattr(progress, "LOOK", 0.0)
