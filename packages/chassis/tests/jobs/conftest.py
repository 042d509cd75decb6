"""Fixtures for the tests of jobs."""

import pytest

from oms_chassis.jobs import leases


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "BACKOFF_BASE", 0.01)
