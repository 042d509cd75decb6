"""The service's own database, with the simulator's ledger in it."""

from collections.abc import Iterator

import pytest
from support.chassis import migrated
from support.gateways import FlakyGateway

from oms_chassis.db import Database
from oms_simulators.payment.gateway import SimulatedGateway


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = migrated(database_url, "oms_payment")
    yield database
    database.dispose()


@pytest.fixture
def gateway(database_url: str) -> Iterator[FlakyGateway]:
    gateway = FlakyGateway(SimulatedGateway(database_url))
    yield gateway
    gateway.close()
