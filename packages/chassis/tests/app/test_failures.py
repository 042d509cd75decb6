"""Failures behind a route are answered with problems that reveal nothing."""

import subprocess
import sys

import pytest
from starlette.testclient import TestClient
from support.things import problem

# In a process of its own: OpenTelemetry's providers are global, and can be set once.
LISTENER = """
from fastapi import APIRouter, Depends
from opentelemetry import _logs
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from oms_chassis.http import app
from oms_chassis.http.edge import Edge
from oms_chassis.http.identity.requirements import Needs
from oms_chassis.telemetry.metrics import Metrics

emitted = []

class Logger(_logs.NoOpLogger):
    def emit(self, *record, **more):
        emitted.append((record, more))

class Provider(_logs.LoggerProvider):
    def get_logger(self, name, *_, **__):
        return Logger(name)

_logs.set_logger_provider(Provider())
router = APIRouter(dependencies=[Depends(Needs())])

@router.get("/bug")
def bug():
    raise LookupError("4242424242424242")

made = app.create("test", [router], [], Metrics(CollectorRegistry()), edge=Edge.open())
with TestClient(made, raise_server_exceptions=False) as client:
    print(f"answered {client.get('/bug').status_code}, emitted {emitted}")
"""


def test_an_unavailable_database_is_answered_with_503_and_retry_after(client: TestClient) -> None:
    response = client.get("/things/gone")
    problem(response, 503, "unavailable")
    assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("method", "path", "key", "kind", "again"),
    [
        ("GET", "/lost", None, "unavailable", "1"),
        ("POST", "/lost", None, "outcome-unknown", None),
        ("POST", "/lost", "k", "outcome-unknown", None),  # which this route takes no notice of
        ("POST", "/lost/by-key", None, "outcome-unknown", None),
        ("POST", "/lost/by-key", "k", "outcome-unknown", "1"),
        ("PUT", "/lost", None, "outcome-unknown", "1"),
    ],
)
def test_a_lost_answer_is_never_reported_as_a_refusal(
    client: TestClient, method: str, path: str, key: str | None, kind: str, again: str | None
) -> None:
    response = client.request(method, path, headers={"Idempotency-Key": key} if key else {})
    problem(response, 503, kind)
    assert response.headers.get("retry-after") == again


def test_a_bug_is_500_and_reveals_nothing(client: TestClient) -> None:
    problem(client.get("/things/bug"), 500, "internal")


def test_a_collector_that_listens_in_the_process_receives_no_text_of_an_error() -> None:
    done = subprocess.run([sys.executable, "-c", LISTENER], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("answered 500, emitted []\n")


def test_a_services_own_problem_keeps_its_detail_and_headers(client: TestClient) -> None:
    response = client.get("/things/taken")
    assert problem(response, 409, "taken")["detail"] == "By someone else"
    assert response.headers["retry-after"] == "3"
