"""What operators ask the order service."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient
from support.admin import faults, operated

from oms_chassis.db import Database
from oms_chassis.runtime.service import Components
from oms_order import admin
from oms_order.repository import orders


@pytest.fixture
def client(database: Database) -> Iterator[TestClient]:
    with operated("order", database, Components(admin=[admin.router], states=orders.states)) as client:
        yield client


def place(service: Any, body: dict[str, Any]) -> str:
    return str(service.client.post("/order", json=body).json()["id"])


def test_stuck_orders_are_listed_with_the_step_that_they_wait_for(
    client: TestClient, service: Any, body: dict[str, Any], database: Database
) -> None:
    unsent, sent, fresh, confirmed = (place(service, body) for _ in range(4))
    database.execute("UPDATE orders SET updated_at = now() - interval '1 hour' WHERE id <> %(id)s::uuid", id=fresh)
    database.execute("UPDATE orders SET status = 'CONFIRMED' WHERE id = %(id)s::uuid", id=confirmed)
    database.execute("DELETE FROM outbox WHERE key <> %(key)s", key=unsent.encode())
    database.execute("INSERT INTO outbox (topic, key, value) VALUES ('order.deadletter', '\\xff'::bytea, 'letter')")
    page = client.get("/admin/orders/stuck?seconds=300&limit=1")
    found = [*page.json(), *client.get(page.links["next"]["url"]).json()]
    assert [(one["id"], one["status"], one["step"]) for one in found] == [
        (unsent, "PENDING", "relay"),
        (sent, "PENDING", "payment"),
    ]


def test_stuck_orders_are_listed_by_their_ids_whatever_they_wait_for(
    client: TestClient, service: Any, body: dict[str, Any], database: Database
) -> None:
    placed = [place(service, body) for _ in range(4)]
    for order, status in zip(placed, ("PAID", "CANCELLING", "PENDING", "PAID"), strict=True):
        database.execute(
            """UPDATE orders SET status = %(status)s, updated_at = now() - interval '1 hour',
            reason = CASE WHEN %(status)s = 'CANCELLING' THEN 'customer' END WHERE id = %(id)s::uuid""",
            status=status,
            id=order,
        )
    first = client.get("/admin/orders/stuck?limit=3")
    assert [one["id"] for one in first.json()] == placed[:3]
    assert [one["id"] for one in client.get(first.links["next"]["url"]).json()] == placed[3:]


def test_the_service_says_what_it_knows_of_orders(client: TestClient, service: Any, body: dict[str, Any]) -> None:
    order = place(service, body)
    evidence = client.post("/admin/evidence", json={"subjects": [order, "no order's id"]}).json()
    assert evidence["states"] == {order: "PENDING"}
    assert [one["topic"] for one in evidence["unsent"]] == ["orderCreatedEvent"]


@pytest.mark.parametrize(
    "written", ["ada@xn--bcher-kva.com", "Ada@B\u00dcCHER.com", " ada@b\u00fccher.com", "ada@bu\u0308cher.com"]
)
def test_a_customer_is_found_by_the_address_as_it_was_written(
    client: TestClient, service: Any, body: dict[str, Any], written: str
) -> None:
    body["customer"]["email"] = "ada@b\u00fccher.com"
    order = place(service, body)
    headers = {"OMS-Operator": "ann"}
    found = client.post("/admin/customers/find", json={"email": written}, headers=headers)
    exported = client.post("/admin/customers/export", json={"email": written}, headers=headers)
    assert list(found.json()["orders"]) == [order]
    assert [one["id"] for one in exported.json()["orders"]] == [order]


def test_a_customer_of_many_orders_is_exported_in_portions(
    client: TestClient, service: Any, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (place(service, body) for _ in range(2))
    body["customer"]["email"], mine = "other@example.com", body["customer"]["email"]
    strangers = place(service, body)

    def export(**chosen: Any) -> Any:
        return client.post(
            "/admin/customers/export", json={"email": mine, **chosen}, headers={"OMS-Operator": "ann"}
        ).json()

    assert [one["id"] for one in export()["orders"]] == [first, second]
    assert [one["id"] for one in export(subjects=[second, strangers, "none"])["orders"]] == [second]
    assert export(subjects=[])["orders"] == []
    assert export(subjects=[first] * 201)["errors"][0]["field"] == "subjects"
    monkeypatch.setattr(admin, "AT_ONCE", 1)
    (error,) = export()["errors"]
    assert error["field"] == "subjects"
    assert "2 orders" in error["message"]


def test_whoever_asks_for_a_customer_s_data_is_on_record_also_in_a_dry_run(
    client: TestClient, service: Any, body: dict[str, Any]
) -> None:
    place(service, body)
    address = {"email": body["customer"]["email"]}
    for path in ("/admin/customers/find", "/admin/customers/export"):
        dry = client.post(path, json=address, headers={"OMS-Operator": "ann", "OMS-Dry-Run": "true"})
        assert (dry.status_code, [error["field"] for error in dry.json()["errors"]]) == (422, ["OMS-Dry-Run"])
        assert body["customer"]["phoneNumber"] not in dry.text


def test_the_highest_version_of_an_item_is_known(client: TestClient, database: Database) -> None:
    assert client.get("/admin/items/newest").json() == {"version": 1}
    database.execute("UPDATE item SET version = 7 WHERE id = 'Item3'")
    assert client.get("/admin/items/newest").json() == {"version": 7}
    database.execute("DELETE FROM item")
    assert client.get("/admin/items/newest").json() == {"version": 0}


def test_nothing_that_is_sent_to_operators_routes_is_a_fault_of_the_service(client: TestClient) -> None:
    assert faults(client, admin.router) == []
