"""Readiness by its conditions."""

from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from oms_chassis.db import Database
from oms_chassis.http.health import Health, internal_app
from oms_contracts import asyncapi


def test_each_condition_is_reported(database: Database) -> None:
    health = Health(database, {"consumer": lambda: False})
    assert health.readiness() == {"serving": True, "database": True, "consumer": False}


def test_a_draining_service_is_not_ready(database: Database) -> None:
    health = Health(database, {})
    health.draining = True
    assert health.readiness()["serving"] is False


def test_a_database_that_is_away_is_reported() -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/none")
    assert Health(nowhere, {}).readiness()["database"] is False


def test_the_internal_port_serves_the_asyncapi_document_of_its_service(database: Database) -> None:
    app = internal_app("payment", Health(database, {}), CollectorRegistry(), lambda: None)
    answer = TestClient(app).get("/asyncapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == asyncapi.application("payment")
