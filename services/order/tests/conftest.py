"""A running Order Service for tests: the real application on a real socket and a real database, without a broker."""

import copy
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from support.chassis import deliver, eventually, migrated

from oms_chassis.db import Database
from oms_chassis.http import app
from oms_chassis.runtime.service import Components, Context
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.events import Customer, ItemUpdated, Line, OrderCreated, PaymentMethod
from oms_contracts.topics import ITEM_UPDATED
from oms_order import ids
from oms_order.documentation import SAMPLE
from oms_order.handlers import learn
from oms_order.main import SERVICE
from oms_order.settings import OrderSettings
from oms_order.writer import Placement


@dataclass
class Running:
    """A replica of the service."""

    client: httpx.Client
    database: Database
    parts: Components
    registry: CollectorRegistry

    def task(self, name: str) -> None:
        """Make one call of a periodic task."""
        next(task for task in self.parts.tasks if task.name == name).call()

    def rows(self, table: str) -> int:
        return int(self.database.execute(f"SELECT count(*) AS n FROM {table}")[0].n)


TABLES = "orders, order_line, timeline, item, idempotency, inbox, outbox, job"


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
        transaction.run(f"TRUNCATE {TABLES}")
    items = [
        ItemUpdated(item_id=f"Item{n}", name=f"Item {n}", unit_price=n * 100, currency="USD", available=True, version=1)
        for n in range(1, 6)
    ]
    deliver(database, learn, [ITEM_UPDATED.event(item, item.item_id) for item in items])
    yield database
    database.dispose()


@pytest.fixture
def start(database: Database, migrated_url: str) -> Iterator[Callable[..., Running]]:
    """Start replicas, each with settings of its own; all of them end with the test."""
    assert database
    stops: list[Callable[[], None]] = []

    def start_one(**settings: Any) -> Running:
        running, stop = _start(migrated_url, settings)
        stops.append(stop)
        return running

    yield start_one
    for stop in stops:
        stop()


@pytest.fixture(scope="session")
def replica(migrated_url: str) -> Iterator[Running]:
    """The replica that most tests share."""
    running, stop = _start(migrated_url, {})
    yield running
    stop()


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
    order_id = str(ids.new_id())
    created = OrderCreated(
        order_id=order_id,
        customer=Customer(name=name, email="a@example.com", phone_number="12345"),
        lines=[Line(item_id="Item1", name="Item 1", quantity=1, unit_price=1)],
        total=1,
        currency="USD",
        payment=PaymentMethod(token="t", brand="test", last4="1234", expiry="02/22"),
        placed_at=datetime.now(UTC),
    )
    return Placement(order_id, created, "{}", f"answer to {name}", key, key and f"print of {name}")


def _start(url: str, overrides: dict[str, Any]) -> tuple[Running, Callable[[], None]]:
    values = {"database_url": url, "kafka_bootstrap": "localhost:1", "stream_poll_seconds": 0.02, **overrides}
    settings = OrderSettings(**values)
    database, registry = Database(settings.database_url, settings.database_pool, settings.limits), CollectorRegistry()
    parts = SERVICE.build(Context(settings, database, registry))
    asgi = app.create("test", parts.routers, parts.states, Metrics(registry), settings.body_limit)
    server = uvicorn.Server(uvicorn.Config(asgi, host="127.0.0.1", port=0, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run)
    writers = [threading.Thread(target=writer.run) for writer in parts.writers]
    for one in (*writers, thread):
        one.start()
    eventually(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)

    def stop() -> None:
        client.close()
        for writer in parts.writers:
            writer.stop()
        server.should_exit = True
        for one in (*writers, thread):
            one.join()
        database.dispose()

    return Running(client, database, parts, registry), stop
