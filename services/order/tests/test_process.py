"""The Order Service as a process whose database falls silent: it goes on, it says how it is, and it ends in time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from support.chassis import eventually
from support.network import Proxy, proxy

from oms_chassis.db import Database
from oms_chassis.messaging.kafka import KafkaSink, reconcile_topics
from oms_chassis.messaging.streams import Outgoing
from oms_chassis.settings import Settings
from oms_contracts.events import ItemUpdated
from oms_contracts.topics import ITEM_UPDATED
from oms_order.requests import SAMPLE
from oms_servers.ports import free_port

pytestmark = pytest.mark.system

DRAIN = 6.0  # less than a statement may take


@dataclass
class Order:
    """A running process."""

    process: subprocess.Popen[bytes]
    network: Proxy
    database: Database
    port: int
    internal: int
    kafka: str

    def post(self) -> httpx2.Response:
        return httpx2.post(f"http://127.0.0.1:{self.port}/order", json=SAMPLE, timeout=60)

    def readyz(self) -> httpx2.Response:
        return httpx2.get(f"http://127.0.0.1:{self.internal}/readyz", timeout=10)

    def is_ready(self) -> bool:
        try:
            return self.readyz().status_code == 200
        except httpx2.TransportError:
            return False

    def publish(self, item: str) -> None:
        """Have an item for the service to consume."""
        event = ITEM_UPDATED.event(
            ItemUpdated(item_id=item, name="X", unit_price=1, currency="USD", available=True, version=1), item
        )
        sink = KafkaSink(settings(self.kafka))
        sink.send([Outgoing(ITEM_UPDATED.name, item.encode(), event.encode().encode())])
        sink.close()

    def knows(self, item: str) -> bool:
        return bool(self.database.execute("SELECT 1 FROM item WHERE id = %(item)s", item=item))


def settings(kafka: str) -> Settings:
    """Enough to reach a broker."""
    return Settings(database_url="postgresql://x", kafka_bootstrap=kafka)


@pytest.fixture
def order(
    tmp_path: Path, database: Database, migrated_url: str, kafka: str, request: pytest.FixtureRequest
) -> Iterator[Order]:
    """A replica that is ready, behind a proxy; with more environment as a parameter."""
    port, internal = free_port(), free_port()
    with proxy(migrated_url) as network, (tmp_path / "log").open("wb") as log:
        environment = {
            **os.environ,
            "OMS_DATABASE_URL": network.url(migrated_url),
            "OMS_KAFKA_BOOTSTRAP": kafka,
            "OMS_HTTP_PORT": str(port),
            "OMS_INTERNAL_PORT": str(internal),
            "OMS_DRAIN_SECONDS": str(DRAIN),
            **getattr(request, "param", {}),
        }
        reconcile_topics(settings(kafka))
        process = subprocess.Popen([sys.executable, "-m", "oms_order.main"], env=environment, stdout=log, stderr=log)
        running = Order(process, network, database, port, internal, kafka)
        try:
            eventually(running.is_ready, within=60)
            yield running
        finally:
            process.kill()
            process.wait()
            print((tmp_path / "log").read_text())  # noqa: T201 - pytest shows it when the test fails


def test_connections_that_fall_silent_are_replaced_everywhere(order: Order) -> None:
    assert order.post().status_code == 202
    order.network.blackhole()
    order.publish("late")
    began = time.monotonic()
    assert order.readyz().status_code in {200, 503}
    assert time.monotonic() - began < 3
    began = time.monotonic()
    assert order.post().status_code in {202, 503}
    assert time.monotonic() - began < 25
    eventually(order.is_ready, within=30)
    eventually(lambda: order.post().status_code == 202, within=30)
    eventually(lambda: not order.database.execute("SELECT 1 FROM outbox"), within=40)
    eventually(lambda: order.knows("late"), within=40)


def test_a_lock_on_the_orders_leaves_the_service_ready(order: Order, migrated_url: str) -> None:
    with psycopg.connect(migrated_url) as other:
        other.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        assert order.post().status_code == 503
        assert order.readyz().json()["database"] is True


def test_a_database_that_takes_no_writes_is_not_ready(order: Order, migrated_url: str) -> None:
    with psycopg.connect(migrated_url, autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        try:
            admin.execute("SELECT pg_reload_conf()")
            eventually(lambda: order.readyz().json()["database"] is False, within=20)
            assert order.readyz().status_code == 503
            refused = order.post()
            assert (refused.status_code, refused.json()["type"]) == (503, "/problems/unavailable")
        finally:
            admin.execute("SET default_transaction_read_only = off")
            admin.execute("ALTER SYSTEM RESET default_transaction_read_only")
            admin.execute("SELECT pg_reload_conf()")
    eventually(lambda: order.post().status_code == 202, within=30)
    eventually(order.is_ready, within=30)


@pytest.mark.parametrize("busy", [False, True])
def test_a_service_ends_in_time_though_its_database_is_silent(order: Order, busy: bool) -> None:
    assert order.post().status_code == 202
    order.network.blackhole(new=True)
    eventually(lambda: order.readyz().json()["database"] is False, within=20)
    callers = [_ask_for_ever(order)] if busy else []
    began = time.monotonic()
    order.process.send_signal(signal.SIGTERM)
    order.process.wait(60)
    assert time.monotonic() - began < DRAIN + 2
    for caller in callers:
        caller()


def _ask_for_ever(order: Order) -> Callable[[], Any]:
    """Post an order in a thread that accepts to be cut off."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(1)
    asked = pool.submit(order.post)

    def end() -> None:
        assert asked.exception(30) is None or isinstance(asked.exception(), httpx2.TransportError)
        pool.shutdown()

    return end


@pytest.mark.parametrize("order", [{"OMS_ORDER_DEADLINE_SECONDS": "6"}], indirect=True)
def test_an_order_that_nobody_answers_is_given_up_once_the_group_has_read_all_that_there_is(order: Order) -> None:
    placed = order.post().json()["id"]

    def status() -> str:
        (row,) = order.database.execute("SELECT status FROM orders WHERE id = %(id)s", id=placed)
        return str(row.status)

    eventually(lambda: status() == "CANCELLING", within=60)
