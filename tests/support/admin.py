"""The admin API of a service, as a client in the test's own process."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from oms_chassis.admin import app
from oms_chassis.admin.service import AdministeredService
from oms_chassis.db import Database
from oms_chassis.runtime.service import Components
from oms_chassis.telemetry.metrics import Metrics

TOKEN = "of-a-test-0123456789"


@contextmanager
def operated(name: str, database: Database, components: Components) -> Iterator[TestClient]:
    """A client with a token, of an operator named ann."""
    registry = CollectorRegistry()
    service = AdministeredService(
        name,
        database,
        components.subscriptions,
        components.job_queues,
        registry,
        components.states,
        components.erase,
    )
    made = app.create(service, components.admin, components.provides, [TOKEN], Metrics(registry))
    assert made is not None
    headers = {"Authorization": f"Bearer {TOKEN}", "OMS-Operator": "ann"}
    with TestClient(made, headers=headers, raise_server_exceptions=False) as client:
        yield client
