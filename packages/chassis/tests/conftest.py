"""Fixtures that most of the chassis's tests need."""

import io
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog
from prometheus_client import CollectorRegistry
from support.chassis import chassis_only

from oms_chassis.db import Database
from oms_chassis.telemetry import logs
from oms_chassis.telemetry.metrics import Metrics
from oms_servers.postgres import PostgresServer
from oms_servers.testing import database_like


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[Database]:
    """A database with the chassis's tables, and a table for tests to write to."""
    with database_like(postgres, "chassis_and_seen", _prepare) as url:
        database = Database(url, 6)
        yield database
        database.dispose()


def _prepare(url: str) -> None:
    database = chassis_only(url)
    database.execute("CREATE TABLE seen (item text PRIMARY KEY, times int NOT NULL DEFAULT 1)")
    database.dispose()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


@pytest.fixture
def logged() -> Iterator[Callable[[], list[str]]]:
    """The lines that the test has logged, formatted as in production, whatever an earlier test configured."""
    logs.configure("test", "INFO", "json")
    (handler,) = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    written = io.StringIO()
    handler.setStream(written)
    yield lambda: written.getvalue().splitlines()
    logging.getLogger().removeHandler(handler)
    structlog.reset_defaults()
