"""The service's own database, with the simulator's ledger in it."""

from collections.abc import Iterator

import pytest

from oms_chassis.db import Database
from oms_chassis.testing import migrated
from oms_gateway.simulator import SimulatedGateway
from oms_gateway.testing import FlakyGateway


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
