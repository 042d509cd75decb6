"""The service's own database, with the simulator's ledger in it."""

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from support.admin import operated
from support.chassis import migrated
from support.gateways import FlakyGateway

from oms_chassis.db import Database
from oms_chassis.runtime.service import Components
from oms_payment import admin, repository
from oms_servers.postgres import PostgresServer
from oms_servers.testing import database_like
from oms_simulators.payment.gateway import SimulatedGateway


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a migrated database that only this test knows."""
    with database_like(postgres, "payment", lambda url: migrated(url, "oms_payment").dispose()) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, 4)
    yield database
    database.dispose()


@pytest.fixture
def gateway(database_url: str) -> Iterator[FlakyGateway]:
    gateway = FlakyGateway(SimulatedGateway(database_url))
    yield gateway
    gateway.close()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def client(database: Database) -> Iterator[TestClient]:
    """Of the admin API, with an operator's token."""
    with operated("payment", database, Components(admin=[admin.router], states=repository.states)) as client:
        yield client
