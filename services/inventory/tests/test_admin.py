"""Publishing items again, after the database was restored from an older copy."""

from collections.abc import Callable, Iterator

import pytest
from starlette.testclient import TestClient
from support.admin import faults, operated
from support.chassis import pending_events

from oms_chassis.db import Database
from oms_chassis.runtime.service import Components
from oms_contracts.topics import ITEM_UPDATED
from oms_inventory import admin

PUBLISH = "/admin/items/publish"


@pytest.fixture
def client(database: Database) -> Iterator[TestClient]:
    with operated("inventory", database, Components(admin=[admin.router])) as client:
        yield client


def published(database: Database) -> list[tuple[str, int, bool]]:
    events = pending_events(database, ITEM_UPDATED)
    return [(event.subject, event.data.version, event.data.available) for event in events]


def test_items_are_published_as_they_are_above_what_readers_have_and_above_themselves(
    client: TestClient, database: Database, seed: Callable[..., None]
) -> None:
    seed(Cup=0, Pot=2, Tea=5)
    database.execute("UPDATE item SET version = 90 WHERE id = 'Tea'")
    assert client.post(PUBLISH, json={"above": 40}).json() == {"items": 3, "last": None}
    assert published(database) == [("Cup", 41, False), ("Pot", 41, True), ("Tea", 91, True)]
    versions = database.execute("SELECT id, version FROM item ORDER BY id")
    assert [tuple(row) for row in versions] == [("Cup", 41), ("Pot", 41), ("Tea", 91)]
    entry = client.get("/admin/audit").json()[0]
    assert (entry["operator"], entry["action"], entry["subject"]) == ("ann", "items.publish", "Cup to Tea")


def test_items_are_published_in_portions_each_once(
    client: TestClient, database: Database, seed: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "PORTION", 2)
    seed(Cup=0, Pot=2, Tea=5)
    first = client.post(PUBLISH, json={"above": 9}).json()
    assert first == {"items": 2, "last": "Pot"}
    assert client.post(PUBLISH, json={"above": 9, "after": first["last"]}).json() == {"items": 1, "last": None}
    assert [subject for subject, _, _ in published(database)] == ["Cup", "Pot", "Tea"]


def test_a_dry_run_publishes_nothing(client: TestClient, database: Database, seed: Callable[..., None]) -> None:
    seed(Tea=5)
    before = client.get("/admin/audit").json()
    assert client.post(PUBLISH, json={"above": 9}, headers={"OMS-Dry-Run": "true"}).json()["items"] == 1
    assert published(database) == []
    assert client.get("/admin/audit").json() == before


def test_nothing_that_is_sent_to_operators_routes_is_a_fault_of_the_service(client: TestClient) -> None:
    assert faults(client, admin.router) == []
