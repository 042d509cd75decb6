"""API keys in the admin API: accepted and refused keys, and the audit log."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from starlette.testclient import TestClient
from support.admin import faults
from support.keys import create_table

from oms_chassis.admin import app as admin
from oms_chassis.admin import keys
from oms_chassis.admin.service import AdministeredService
from oms_chassis.db import Database
from oms_chassis.http.identity import apikeys
from oms_chassis.telemetry.metrics import Metrics

TOKEN = "a-token-0123456789-0123"
ANN = {"Authorization": f"Bearer {TOKEN}", "OMS-Operator": "ann"}


@pytest.fixture
def client(database: Database, metrics: Metrics) -> Iterator[TestClient]:
    create_table(database)
    made = admin.create(AdministeredService("toy", database), [keys.router], [], [TOKEN], metrics)
    assert made is not None
    with TestClient(made, raise_server_exceptions=False, headers=ANN) as client:
        yield client


def body(**changes: Any) -> dict[str, Any]:
    return {"digest": apikeys.new().digest, "subject": "shop", "scopes": ["orders:read"], **changes}


def test_a_key_is_created_listed_and_revoked_and_each_act_is_on_record_once(client: TestClient) -> None:
    key, sent = apikeys.new(), body(expiresAt="2099-01-01T00:00:00Z")
    for _ in range(2):
        assert client.put(f"/admin/keys/{key.id}", json=sent).status_code == 200
    (listed,) = client.get("/admin/keys").json()
    assert (listed["id"], listed["subject"], listed["scopes"]) == (key.id, "shop", ["orders:read"])
    assert listed["expiresAt"].startswith("2099-01-01")
    for _ in range(2):
        assert client.post(f"/admin/keys/{key.id}/revoke").json()["revokedAt"] is not None
    audit = client.get("/admin/audit").json()
    assert [(entry["action"], entry["subject"], entry["after"]["state"]) for entry in audit] == [
        ("keys.revoke", key.id, "revoked"),
        ("keys.create", key.id, "valid"),
    ]
    everything = str(audit) + str(client.get("/admin/keys").json())
    assert sent["digest"] not in everything


def test_a_key_cannot_be_changed(client: TestClient) -> None:
    key, sent = apikeys.new(), body()
    client.put(f"/admin/keys/{key.id}", json=sent)
    other = [
        (key.id, {**sent, "scopes": ["operator"]}),
        (key.id, {**sent, "subject": "other"}),
        (key.id, body()),
        (apikeys.new().id, sent),
    ]
    for key_id, changed in other:
        assert client.put(f"/admin/keys/{key_id}", json=changed).status_code == 409
    client.post(f"/admin/keys/{key.id}/revoke")
    assert client.put(f"/admin/keys/{key.id}", json=sent).status_code == 409


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"digest": "oms_abcdefghij_" + "a" * 43}, "digest"),
        ({"subject": "ann@example.com"}, "subject"),
        ({"subject": ""}, "subject"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["orders read"]}, "scopes[0]"),
        ({"expiresAt": "2099-01-01T00:00:00"}, "expiresAt"),
        ({"expiresAt": "2099-02-30T00:00:00Z"}, "expiresAt"),
        ({"expiresAt": 4102444800}, "expiresAt"),  # seconds, or milliseconds
        ({"expiresAt": "4102444800"}, "expiresAt"),
        ({"expiresAt": "9999-12-31T23:59:59-14:00"}, "expiresAt"),  # the year 10000, elsewhere
        ({"expiresAt": "9999-12-31T23:59:59Z"}, "expiresAt"),
        ({"expiresAt": "0001-01-01T00:00:00+14:00"}, "expiresAt"),
        ({"expiresAt": "2001-01-01T00:00:00Z"}, "expiresAt"),  # it never works
        ({"key": "secret"}, "key"),
    ],
)
def test_an_invalid_key_is_refused_by_its_field(changes: dict[str, Any], field: str, client: TestClient) -> None:
    refused = client.put(f"/admin/keys/{apikeys.new().id}", json=body(**changes))
    assert (refused.status_code, [error["field"] for error in refused.json()["errors"]]) == (422, [field])
    assert client.get("/admin/keys").json() == []


@pytest.mark.parametrize("ends", ["2038-01-19T03:14:08Z", "9998-12-31T23:59:59+05:30", "2100-02-28T12:00:00+05:30"])
def test_a_key_may_last_beyond_what_32_bits_count(ends: str, client: TestClient) -> None:
    kept = client.put(f"/admin/keys/{apikeys.new().id}", json=body(expiresAt=ends)).json()["expiresAt"]
    assert datetime.fromisoformat(kept) == datetime.fromisoformat(ends)


def test_a_key_that_has_expired_since_can_be_sent_again(client: TestClient, database: Database) -> None:
    key, sent = apikeys.new(), body(expiresAt="2099-01-01T00:00:00Z")
    client.put(f"/admin/keys/{key.id}", json=sent)
    database.execute("UPDATE api_key SET created_at = '2000-01-01', expires_at = '2001-01-01'")
    again = client.put(f"/admin/keys/{key.id}", json=sent | {"expiresAt": "2001-01-01T00:00:00Z"})
    assert (again.status_code, again.json()["id"]) == (200, key.id)


def test_an_unknown_key_id_is_refused(client: TestClient) -> None:
    assert client.put("/admin/keys/UPPER", json=body()).status_code == 422
    assert client.post(f"/admin/keys/{apikeys.new().id}/revoke").status_code == 404


def test_a_dry_run_revokes_nothing(client: TestClient) -> None:
    key = apikeys.new()
    client.put(f"/admin/keys/{key.id}", json=body())
    assert client.post(f"/admin/keys/{key.id}/revoke", headers={"OMS-Dry-Run": "true"}).json()["revokedAt"]
    assert client.get("/admin/keys").json()[0]["revokedAt"] is None


def test_keys_are_listed_by_page_and_by_owner(client: TestClient) -> None:
    for owner in ("ann", "bob", "ann"):
        client.put(f"/admin/keys/{apikeys.new().id}", json=body(subject=owner))
    page = client.get("/admin/keys?limit=2")
    rest = client.get(page.links["next"]["url"])
    assert (len(page.json()), len(rest.json()), rest.links) == (2, 1, {})
    assert {one["subject"] for one in client.get("/admin/keys?subject=bob").json()} == {"bob"}
    assert client.get("/admin/keys?cursor=%2F").status_code == 422


def test_no_request_to_the_key_routes_makes_the_service_fail(client: TestClient) -> None:
    assert faults(client) == []
