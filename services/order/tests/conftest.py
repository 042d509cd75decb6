"""A running Order Service for tests: the real application on a real socket and a real database, without a broker."""

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from support import refunds
from support.chassis import deliver, migrated
from support.server import routes

from oms_chassis.db import Database
from oms_chassis.http.identity.callers import NOBODY
from oms_chassis.runtime.service import Components
from oms_contracts.events import ItemUpdated, OrderCreated
from oms_contracts.ids import new_id
from oms_contracts.parts import Customer, Line, PaymentMethod
from oms_contracts.topics import ITEM_UPDATED
from oms_order import contents
from oms_order.handlers import update_catalogue
from oms_order.main import SERVICE
from oms_order.repository.placing import Placement
from oms_order.requests import SAMPLE
from oms_order.settings import OrderSettings
from oms_order.stream import Timelines


@dataclass
class Running:
    """A replica of the service."""

    client: httpx2.Client
    database: Database
    components: Components
    registry: CollectorRegistry

    @property
    def timelines(self) -> Timelines:
        """Its live streams."""
        return next(one for one in self.components.provides if isinstance(one, Timelines))

    def task(self, name: str) -> None:
        """Make one call of a periodic task."""
        next(task for task in self.components.tasks if task.name == name).call()

    def rows(self, table: str) -> int:
        return int(self.database.execute(f"SELECT count(*) AS n FROM {table}")[0].n)


TABLES = "orders, order_line, timeline, refund, item, idempotency, inbox, outbox, job"


@pytest.fixture(scope="session")
def migrated_url(postgres: Any) -> str:
    """The URL of a migrated database. All tests of a process share it: the migration takes longer than most of them."""
    url = str(postgres.create_database("order_tests"))
    migrated(url, "oms_order").dispose()
    return url


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    """A database that knows the items Item1 to Item5 at 100 to 500 minor units, and nothing else."""
    database = Database(migrated_url, 4)
    with database.transaction() as transaction:
        transaction.execute(f"TRUNCATE {TABLES}")
    items = [
        ItemUpdated(item_id=f"Item{n}", name=f"Item {n}", unit_price=n * 100, currency="USD", available=True, version=1)
        for n in range(1, 6)
    ]
    deliver(database, update_catalogue, [ITEM_UPDATED.event(item, item.item_id) for item in items])
    database.execute("UPDATE item SET seen_at = now() - interval '1 hour'")  # it is no new installation
    yield database
    database.dispose()


@pytest.fixture
def start(database: Database, migrated_url: str) -> Iterator[Callable[..., Running]]:
    """Start replicas, each with settings of its own; all of them end with the test."""
    assert database
    with ExitStack() as replicas:
        yield lambda **settings: replicas.enter_context(_running(migrated_url, **settings))


@pytest.fixture(scope="session")
def replica(migrated_url: str) -> Iterator[Running]:
    """The replica that most tests share."""
    with _running(migrated_url) as running:
        yield running


@pytest.fixture
def service(database: Database, replica: Running) -> Running:
    """A replica with an empty database. A test that stops it, or teaches it other prices, starts one of its own."""
    assert database
    return replica


@pytest.fixture
def body() -> dict[str, Any]:
    """The sample order, to be changed at will."""
    return copy.deepcopy(SAMPLE)


@pytest.fixture
def make_placement() -> Callable[..., Placement]:
    """Make an order that is to be written, of a customer's name and perhaps with a key."""
    return _placement


def _placement(name: str, key: str | None = None) -> Placement:
    order_id = str(new_id())
    created = OrderCreated(
        order_id=order_id,
        customer=Customer(name=name, email="a@example.com", phone_number="12345"),
        lines=[Line(item_id="Item1", name="Item 1", quantity=1, unit_price=1)],
        total=1,
        currency="USD",
        payment=PaymentMethod(token="t", brand="test", last4="1234", expiry="02/22"),
        placed_at=datetime.now(UTC),
    )
    answer, fingerprint = f"answer to {name}", key and f"print of {name}"
    scope, answer_by = NOBODY.namespace, time.monotonic() + 10.0
    return Placement(contents.row_of(created), created.lines, "{}", answer, scope, key, fingerprint, answer_by)


@contextmanager
def _running(url: str, **overrides: Any) -> Iterator[Running]:
    values = {"database_url": url, "kafka_bootstrap": "localhost:1", "stream_poll_seconds": 0.02, **overrides}
    settings = OrderSettings(**values)
    database, registry = Database(settings.database_url, settings.database_pool, settings.limits), CollectorRegistry()
    with (
        routes(SERVICE, settings, database, registry) as (address, components),
        httpx2.Client(base_url=address, timeout=10) as client,
    ):
        yield Running(client, database, components, registry)
    database.dispose()


@pytest.fixture
def order(service: Running) -> str:
    """A confirmed order."""
    return refunds.confirm(service, refunds.place(service))
