"""The service's own database, and its routes on a real socket, without a broker."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from support.chassis import migrated
from support.server import routes

from oms_chassis.db import Database
from oms_inventory import catalogue
from oms_inventory.main import SERVICE
from oms_inventory.schemas import CatalogueItem
from oms_inventory.settings import InventorySettings

TABLES = "item, allocation, reservation, stock_return, movement, carried, restock, inbox, outbox, job"
Seed = Callable[..., None]


@pytest.fixture(scope="session")
def migrated_url(postgres: Any) -> str:
    """The URL of a migrated database. All tests of a process share it: the migration takes longer than most of them."""
    url = str(postgres.create_database("inventory_tests"))
    migrated(url, "oms_inventory").dispose()
    return url


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    """A database without an item."""
    database = Database(migrated_url, 8)
    with database.transaction() as transaction:
        transaction.execute(f"TRUNCATE {TABLES}")
    yield database
    database.dispose()


@pytest.fixture
def seed(database: Database) -> Seed:
    """Start again with items that have so much on hand, each at 100 minor units, which readers were notified of."""

    def start(**on_hand: int) -> None:
        with database.transaction() as transaction:
            transaction.execute(f"TRUNCATE {TABLES}")
        items = [CatalogueItem(id=item, name=f"The {item}", unitPrice=100, onHand=n) for item, n in on_hand.items()]
        catalogue.seed(database, items, "USD")
        with database.transaction() as transaction:
            transaction.execute("DELETE FROM outbox")

    return start


@pytest.fixture(scope="session")
def address(migrated_url: str) -> Iterator[str]:
    """Where the public routes are; all tests share the server and its database."""
    settings = InventorySettings(database_url=migrated_url, kafka_bootstrap="127.0.0.1:1")
    database = Database(migrated_url, settings.database_pool, settings.limits)
    with routes(SERVICE, settings, database, CollectorRegistry()) as (address, _):
        yield address
    database.dispose()


@pytest.fixture
def client(database: Database, address: str) -> Iterator[httpx2.Client]:
    """A client of the routes; there is no item yet."""
    assert database
    with httpx2.Client(base_url=address, timeout=10) as client:
        yield client
