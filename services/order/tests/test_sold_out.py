"""What is known to be sold out is refused before anybody pays for it."""

from collections.abc import Callable
from typing import Any

import pytest
from support.chassis import deliver, eventually

from oms_contracts.events import ItemUpdated
from oms_contracts.topics import ITEM_UPDATED
from oms_order.handlers import update_catalogue

KEY = {"Idempotency-Key": "key"}


def change(service: Any, item_id: str, *, available: bool, version: int) -> None:
    item = ItemUpdated(
        item_id=item_id, name=item_id, unit_price=100, currency="USD", available=available, version=version
    )
    deliver(service.database, update_catalogue, [ITEM_UPDATED.event(item, item_id)])
    service.task("catalogue")


@pytest.fixture
def service(start: Callable[..., Any]) -> Any:
    return start(catalogue_seconds=0.05)


def test_an_item_that_is_sold_out_is_named_and_nothing_is_stored(service: Any, body: dict[str, Any]) -> None:
    change(service, "Item2", available=False, version=2)
    body["items"] = [{"id": "Item1", "quantity": 1}, {"id": "Item2", "quantity": 1}]
    refused = service.client.post("/order", json=body)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/out-of-stock")
    assert [error["field"] for error in refused.json()["errors"]] == ["items[1].id"]
    assert [service.rows(table) for table in ("orders", "outbox")] == [0, 0]


def test_an_item_that_is_back_can_be_ordered_again_with_the_same_key(service: Any, body: dict[str, Any]) -> None:
    change(service, "Item1", available=False, version=2)
    assert service.client.post("/order", json=body, headers=KEY).status_code == 409
    change(service, "Item1", available=True, version=3)
    assert eventually(lambda: service.client.post("/order", json=body, headers=KEY).status_code == 202)


def test_an_order_that_was_accepted_is_replayed_though_the_item_has_sold_out_since(
    service: Any, body: dict[str, Any]
) -> None:
    first = service.client.post("/order", json=body, headers=KEY)
    change(service, "Item1", available=False, version=2)
    again = service.client.post("/order", json=body, headers=KEY)
    assert (again.status_code, again.content) == (202, first.content)
    assert service.client.post("/order", json=body).status_code == 409


def test_where_the_setting_says_so_it_is_left_to_the_inventory(start: Callable[..., Any], body: dict[str, Any]) -> None:
    service = start(accept_sold_out=True)
    change(service, "Item1", available=False, version=2)
    assert service.client.post("/order", json=body).status_code == 202
