"""Before the first items have arrived, no item is known: clients are asked to send their orders again."""

from collections.abc import Callable
from typing import Any

import pytest
import structlog
from support.chassis import deliver

from oms_contracts.events import ItemUpdated
from oms_contracts.topics import ITEM_UPDATED
from oms_order.handlers import update_catalogue

KEY = {"Idempotency-Key": "key"}
ITEMS = "oms_catalogue_items"


@pytest.fixture
def service(database: Any, start: Callable[..., Any]) -> Any:
    """A replica of a new installation."""
    database.execute("TRUNCATE item")
    return start()


def fill(service: Any, item_id: str = "Item1") -> None:
    item = ItemUpdated(item_id=item_id, name=item_id, unit_price=100, currency="USD", available=True, version=1)
    deliver(service.database, update_catalogue, [ITEM_UPDATED.event(item, item_id)])


def kind(response: Any) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["type"]


def test_an_order_that_comes_before_the_first_item_is_asked_to_come_again(service: Any, body: dict[str, Any]) -> None:
    refused = service.client.post("/order", json=body, headers=KEY)
    assert kind(refused) == (503, "/problems/catalogue-empty")
    assert int(refused.headers["retry-after"]) > 0
    assert [service.rows(table) for table in ("orders", "outbox", "idempotency")] == [0, 0, 0]
    fill(service)
    assert service.client.post("/order", json=body, headers=KEY).status_code == 202


def test_an_item_that_comes_later_than_the_first_is_waited_for(service: Any, body: dict[str, Any]) -> None:
    fill(service, "another")
    refused = service.client.post("/order", json=body, headers=KEY)
    assert kind(refused) == (503, "/problems/catalogue-incomplete")
    assert int(refused.headers["retry-after"]) > 0
    assert [service.rows(table) for table in ("orders", "outbox", "idempotency")] == [0, 0, 0]
    fill(service)
    assert service.client.post("/order", json=body, headers=KEY).status_code == 202


@pytest.mark.parametrize(
    "since", ["now() - interval '6 s'", "now() - CASE id WHEN 'first' THEN interval '61 s' ELSE interval '0' END"]
)
def test_once_they_have_come_those_that_are_unknown_are_named(service: Any, body: dict[str, Any], since: str) -> None:
    """All have arrived if none came for a while, or if the first came long ago: items also change later."""
    for item_id in ("first", "another"):
        fill(service, item_id)
    service.database.execute(f"UPDATE item SET seen_at = {since}")
    assert kind(service.client.post("/order", json=body)) == (422, "/problems/unknown-item")
    fill(service, "a-third")
    assert kind(service.client.post("/order", json=body)) == (422, "/problems/unknown-item")


def test_where_items_change_all_the_time_those_that_are_unknown_are_named_nevertheless(
    service: Any, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(service, "another")
    assert service.client.post("/order", json=body).status_code == 503
    monkeypatch.setattr("oms_order.catalogue.LONGEST", 0.0)
    assert kind(service.client.post("/order", json=body)) == (422, "/problems/unknown-item")


def test_what_is_wrong_with_an_order_is_named_all_the_same(service: Any, body: dict[str, Any]) -> None:
    body["customer"]["email"] = "nobody"
    assert service.client.post("/order", json=body).status_code == 422


def test_a_replica_that_has_just_started_knows_that_the_database_has_items(
    database: Any, start: Callable[..., Any], body: dict[str, Any]
) -> None:
    body["items"] = [{"id": "unheard", "quantity": 1}]
    assert kind(start().client.post("/order", json=body)) == (422, "/problems/unknown-item")


def test_an_operator_sees_why_orders_of_a_shop_without_items_are_refused(service: Any, body: dict[str, Any]) -> None:
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            service.client.post("/order", json=body)
    assert [one["event"] for one in logs].count("catalogue_is_empty") == 1
    assert service.registry.get_sample_value(ITEMS) == 0.0
    fill(service)
    service.task("catalogue")
    assert service.registry.get_sample_value(ITEMS) == 1.0


def test_the_document_says_so(service: Any) -> None:
    responses = service.client.get("/openapi.json").json()["paths"]["/order"]["post"]["responses"]
    assert all(f"`catalogue-{kind}`" in responses["503"]["description"] for kind in ("empty", "incomplete"))
    assert "Retry-After" in responses["503"]["headers"]
