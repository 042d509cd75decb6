"""Readiness by its conditions."""

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from oms_chassis.db import Database
from oms_chassis.http.health import Health, internal_app
from oms_contracts import asyncapi


def test_each_condition_is_reported(database: Database) -> None:
    health = Health(database, {"consumer": lambda: False})
    assert health.readiness(health.database_answers()) == {"serving": True, "database": True, "consumer": False}


def test_a_draining_service_is_not_ready(database: Database) -> None:
    health = Health(database, {})
    health.draining = True
    assert health.readiness(health.database_answers())["serving"] is False


def test_an_unavailable_database_is_reported() -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/none")
    assert Health(nowhere, {}).database_answers() is False


def test_the_internal_port_serves_the_asyncapi_document_of_its_service(database: Database) -> None:
    app = internal_app("payment", Health(database, {}), CollectorRegistry(), lambda: None)
    answer = TestClient(app).get("/asyncapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == asyncapi.application("payment")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/nothing", 404),
        ("GET", "/livez/", 404),  # and no redirect to an address made of the Host header
        ("GET", "/admin", 404),
        ("GET", "/admin/audit", 404),  # without a token there is no admin API
        ("POST", "/metrics", 405),
        ("DELETE", "/readyz", 405),
    ],
)
def test_the_internal_port_answers_unknown_paths_with_problems_like_the_public_one(
    database: Database, method: str, path: str, status: int
) -> None:
    app = internal_app("payment", Health(database, {}), CollectorRegistry(), lambda: None)
    answer = TestClient(app).request(method, path, follow_redirects=False)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["status"] == status
    assert answer.headers.get("allow") == ("GET, HEAD, OPTIONS" if status == 405 else None)
    if status == 405:
        assert TestClient(app).options(path).headers["allow"] == answer.headers["allow"]
