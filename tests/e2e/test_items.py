"""Items and their prices reach the order service as events; the price of an order is fixed when it is accepted."""

import os
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from support import commandline
from support.chassis import eventually
from support.orders import END_TIMEOUT, body, ended, place, read


@pytest.fixture
def item(inventory: httpx2.Client) -> str:
    """Return a new item: three pieces at 5.00."""
    item_id = f"e2e-{uuid4().hex[:12]}"
    put(inventory, item_id, name="Chai glass", unitPrice=500, onHand=3)
    return item_id


def put(inventory: httpx2.Client, item_id: str, **item: Any) -> None:
    response = inventory.put(f"/items/{item_id}", json=item)
    assert response.is_success, response.text


def place_at(orders: httpx2.Client, item_id: str, price: int) -> str:
    """Place orders until one is accepted at this price, and return its id."""

    def accepted() -> str | None:
        response = orders.post("/order", json=body((item_id, 1)))
        return response.json()["id"] if response.status_code == 202 and response.json()["total"] == price else None

    return eventually(accepted, END_TIMEOUT) or ""


def test_a_new_item_can_be_ordered(orders: httpx2.Client, item: str) -> None:
    order = ended(orders, place_at(orders, item, 500))
    assert order["status"] == "CONFIRMED"
    assert [(line["name"], line["unitPrice"]) for line in order["lines"]] == [("Chai glass", 500)]


def test_a_new_price_applies_to_new_orders_only(orders: httpx2.Client, inventory: httpx2.Client, item: str) -> None:
    inventory.post(
        f"/items/{item}/restock", json={"quantity": 10_000}
    ).raise_for_status()  # orders are tried until the price is known
    earlier = place_at(orders, item, 500)
    put(inventory, item, name="Chai glass", unitPrice=650)
    later = place_at(orders, item, 650)
    assert [read(orders, order_id)["total"] for order_id in (earlier, later)] == [500, 650]


def test_stock_goes_to_confirmed_orders_only(orders: httpx2.Client, inventory: httpx2.Client, item: str) -> None:
    assert ended(orders, place_at(orders, item, 500))["status"] == "CONFIRMED"
    assert ended(orders, place(orders, body((item, 3))))["reason"] == "out-of-stock"
    assert inventory.get(f"/items/{item}").json()["onHand"] == 2
    assert ended(orders, place(orders, body((item, 2))))["status"] == "CONFIRMED"
    assert {"onHand": 0, "available": False}.items() <= inventory.get(f"/items/{item}").json().items()


def test_a_restock_lets_orders_through_again(orders: httpx2.Client, inventory: httpx2.Client, item: str) -> None:
    place_at(orders, item, 500)
    assert ended(orders, place(orders, body((item, 10))))["status"] == "CANCELLED"
    inventory.post(f"/items/{item}/restock", json={"quantity": 10}).raise_for_status()
    assert ended(orders, place(orders, body((item, 10))))["status"] == "CONFIRMED"


def test_the_command_adds_up_every_movement_and_shows_those_of_an_item(
    orders: httpx2.Client, inventory: httpx2.Client, item: str
) -> None:
    ended(orders, place_at(orders, item, 500))
    inventory.post(f"/items/{item}/correct", json={"quantity": -1, "reason": "Broken"}).raise_for_status()

    def oms(*arguments: str) -> str:
        environment = {**os.environ, "OMS_INVENTORY_URL": str(inventory.base_url)}
        done = commandline.run(["inventory", *arguments], environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "what its movements come to" in oms("check")
    shown = oms("movements", item)
    assert [word for word in ("Broken", "corrected", "reserved", "initial") if word not in shown] == []


def test_an_item_is_refused_while_it_is_sold_out(orders: httpx2.Client, inventory: httpx2.Client) -> None:
    item = f"last-{uuid4().hex}"
    inventory.put(f"/items/{item}", json={"name": "The last", "unitPrice": 100, "onHand": 1}).raise_for_status()
    order = body((item, 1))
    accepted: list[str] = []

    def refusal() -> httpx2.Response | None:
        response = orders.post("/order", json=order)
        accepted.extend([response.json()["id"]] if response.status_code == 202 else [])
        return response if accepted and response.status_code != 202 else None

    refused = eventually(refusal)
    assert refused is not None
    assert [ended(orders, order_id)["status"] for order_id in accepted].count("CONFIRMED") == 1
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/out-of-stock")
    assert refused.json()["errors"] == [{"field": "items[0].id", "message": "is sold out"}]
    inventory.post(f"/items/{item}/restock", json={"quantity": 1}).raise_for_status()
    assert eventually(lambda: orders.post("/order", json=order).status_code == 202)
