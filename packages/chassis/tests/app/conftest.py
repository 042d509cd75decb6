"""The application of `support.things`."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient
from support.things import Answer, router

from oms_chassis.http import app
from oms_chassis.http.edge import Edge
from oms_chassis.telemetry.metrics import Metrics


@pytest.fixture
def client(metrics: Metrics) -> Iterator[TestClient]:
    made = app.create("test", [router], [Answer(42)], metrics, body_limit=1000, edge=Edge.open())
    with TestClient(made) as client:  # which raises what the application lets out
        yield client
