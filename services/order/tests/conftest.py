"""A running Order Service for tests: the real application on a real socket and a real database, without a broker."""

import copy
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn
from prometheus_client import CollectorRegistry

from oms_chassis import app
from oms_chassis.db import Database
from oms_chassis.metrics import Metrics
from oms_chassis.service import Context, Parts
from oms_chassis.testing import apply, eventually, migrated
from oms_contracts.events import ItemUpdated
from oms_contracts.topics import ITEM_UPDATED
from oms_order.documentation import SAMPLE
from oms_order.handlers import learn
from oms_order.main import SERVICE
from oms_order.settings import OrderSettings


@dataclass
class Running:
    """A replica of the service."""

    client: httpx.Client
    database: Database
    parts: Parts
    registry: CollectorRegistry

    def task(self, name: str) -> None:
        """Make one call of a periodic task."""
        next(task for task in self.parts.tasks if task.name == name).call()

    def rows(self, table: str) -> int:
        return int(self.database.read(f"SELECT count(*) AS n FROM {table}")[0].n)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated database that knows the items Item1 to Item5 at 100 to 500 minor units."""
    database = migrated(database_url, "oms_order")
    items = [
        ItemUpdated(item_id=f"Item{n}", name=f"Item {n}", unit_price=n * 100, currency="USD", available=True, version=1)
        for n in range(1, 6)
    ]
    apply(database, learn, [ITEM_UPDATED.event(item, item.item_id) for item in items])
    yield database
    database.dispose()


@pytest.fixture
def start(database: Database, database_url: str) -> Iterator[Callable[..., Running]]:
    """Start a replica with these settings; all of them end with the test."""
    stops: list[Callable[[], None]] = []

    def start_one(**settings: Any) -> Running:
        running, stop = _start(database_url, settings)
        stops.append(stop)
        return running

    yield start_one
    for stop in stops:
        stop()


@pytest.fixture
def service(start: Callable[..., Running]) -> Running:
    """One replica with settings that suit tests."""
    return start()


@pytest.fixture
def body() -> dict[str, Any]:
    """The sample order, to be changed at will."""
    return copy.deepcopy(SAMPLE)


def _start(url: str, overrides: dict[str, Any]) -> tuple[Running, Callable[[], None]]:
    values = {"database_url": url, "kafka_bootstrap": "localhost:1", "stream_poll_seconds": 0.02, **overrides}
    settings = OrderSettings(**values)
    database, registry = Database(url, settings.database_pool), CollectorRegistry()
    parts = SERVICE.build(Context(settings, database, registry))
    asgi = app.create("test", parts.routers, parts.states, Metrics(registry), settings.body_limit)
    server = uvicorn.Server(uvicorn.Config(asgi, host="127.0.0.1", port=0, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run)
    for begin in parts.on_start:
        begin()
    thread.start()
    eventually(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)

    def stop() -> None:
        client.close()
        for end in parts.on_stop:
            end()
        server.should_exit = True
        thread.join()
        database.dispose()

    return Running(client, database, parts, registry), stop
