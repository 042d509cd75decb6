"""A service with a consumer, a queue of calls and an admin API."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from support.chassis import MemoryStream
from support.repairs import TOKEN, Calls, Orders, states

from oms_chassis.admin import app as admin
from oms_chassis.admin.service import AdministeredService
from oms_chassis.db import Database
from oms_chassis.messaging import processing
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.messaging.streams import StreamUnavailable
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.topics import PAYMENT_COMPLETED


@pytest.fixture
def orders() -> Orders:
    return Orders()


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def subscription(orders: Orders) -> Subscription:
    return Subscription(PAYMENT_COMPLETED, orders)


@pytest.fixture
def consumer(
    database: Database, metrics: Metrics, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> Consumer:
    monkeypatch.setattr(processing, "RETRIES", (0.0,))
    return Consumer("toy", database, [subscription], MemoryStream, metrics)


@pytest.fixture
def unread() -> dict[str, int]:
    """The number of unread records by topic, for all replicas; empty once all are read. Kafka is unavailable while it
    has the key `nowhere`."""
    return {}


@pytest.fixture
def client(
    database: Database, metrics: Metrics, subscription: Subscription, calls: Calls, unread: dict[str, int]
) -> Iterator[TestClient]:
    def counted(until: datetime) -> dict[str, int]:
        assert until < datetime.now(UTC) - timedelta(seconds=5)  # what came just now is on its way
        if "nowhere" in unread:
            raise StreamUnavailable
        return unread

    service = AdministeredService(
        "toy", database, [subscription], calls.queues, metrics.registry, states, unread=counted
    )
    made = admin.create(service, [], [], [TOKEN], Metrics(CollectorRegistry()))
    headers = {"Authorization": f"Bearer {TOKEN}", "OMS-Operator": "ann"}
    assert made is not None
    with TestClient(made, headers=headers, raise_server_exceptions=False) as client:
        yield client
