"""What most of the chassis's tests need."""

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from support.chassis import chassis_only

from oms_chassis.db import Database
from oms_chassis.telemetry.metrics import Metrics


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with the chassis's tables, and one of a test's own to write to."""
    database = chassis_only(database_url)
    database.execute("CREATE TABLE seen (item text PRIMARY KEY, times int NOT NULL DEFAULT 1)")
    yield database
    database.dispose()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())
