"""POST /items/{id}/restock: adds to the stock, once a key."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from support.chassis import deliver, pending_events
from support.stock import paid, stock

from oms_chassis.db import Database
from oms_contracts.topics import ITEM_UPDATED
from oms_inventory.handlers import payment_completed


def restock(client: httpx2.Client, item: str, quantity: object, key: str | None = None, **more: object) -> Any:
    headers = {"Idempotency-Key": key} if key is not None else {}
    return client.post(f"/items/{item}/restock", json={"quantity": quantity, **more}, headers=headers)


def test_what_comes_in_is_on_hand(client: httpx2.Client, database: Database, seed: Any) -> None:
    seed(kettle=3)
    response = restock(client, "kettle", 4)
    assert (response.status_code, response.json()["onHand"]) == (200, 7)
    assert response.headers["etag"] == client.get("/items/kettle").headers["etag"]
    (row,) = database.execute("SELECT initial, restocked, on_hand, sold FROM item")
    assert tuple(row) == (3, 4, 7, 0)


def test_readers_are_notified_that_an_item_is_back_and_of_no_other_restock(
    client: httpx2.Client, database: Database, seed: Any
) -> None:
    seed(kettle=0)
    assert restock(client, "kettle", 4).json()["available"] is True
    restock(client, "kettle", 4)
    (published,) = pending_events(database, ITEM_UPDATED)
    assert (published.data.item_id, published.data.available, published.data.version) == ("kettle", True, 2)


def test_an_item_that_was_sold_out_can_be_sold_again(client: httpx2.Client, database: Database, seed: Any) -> None:
    seed(kettle=1)
    deliver(database, payment_completed, [paid("o1", {"kettle": 1})])
    restock(client, "kettle", 1)
    deliver(database, payment_completed, [paid("o2", {"kettle": 1})])
    assert stock(database) == {"kettle": (0, 2)}
    assert [event.data.available for event in pending_events(database, ITEM_UPDATED)] == [False, True, False]


def test_a_restock_that_is_sent_again_with_its_key_adds_nothing(
    client: httpx2.Client, database: Database, seed: Any
) -> None:
    seed(kettle=0)
    answers = [restock(client, "kettle", 5, key="delivery-1") for _ in range(3)]
    assert [(answer.status_code, answer.json()["onHand"]) for answer in answers] == [(200, 5)] * 3
    assert [answer.headers.get("idempotent-replayed") for answer in answers] == [None, "true", "true"]
    assert restock(client, "kettle", 5, key="delivery-2").json()["onHand"] == 10
    assert len(pending_events(database, ITEM_UPDATED)) == 1


def test_a_number_is_the_same_however_json_writes_it(client: httpx2.Client, database: Database, seed: Any) -> None:
    seed(kettle=0)
    answers = [restock(client, "kettle", quantity, key="delivery-1") for quantity in (5, 5.0)]
    assert [(answer.status_code, answer.json()["onHand"]) for answer in answers] == [(200, 5)] * 2
    assert client.post("/items/kettle/correct", json={"quantity": -2.0, "reason": "Broken"}).json()["onHand"] == 3
    put = client.put("/items/cup", json={"name": "A cup", "unitPrice": 100.0, "onHand": 3.0})
    assert (put.status_code, put.json()["unitPrice"], put.json()["onHand"]) == (201, 100, 3)


@pytest.mark.parametrize(
    ("before", "now", "status"),
    [("found", "found", 200), ("found", "bought", 422), (None, "found", 422), ("found", None, 422), (None, None, 200)],
)
def test_a_restock_for_another_reason_is_another_one(
    client: httpx2.Client, seed: Any, before: str | None, now: str | None, status: int
) -> None:
    seed(kettle=0)
    restock(client, "kettle", 5, key="delivery-1", reason=before)
    assert restock(client, "kettle", 5, key="delivery-1", reason=now).status_code == status


def test_reasons_that_the_release_before_has_not_kept_are_not_compared(
    client: httpx2.Client, database: Database, seed: Any
) -> None:
    seed(kettle=0)
    restock(client, "kettle", 5, key="delivery-1", reason="found")
    database.execute("UPDATE restock SET why = NULL")
    assert restock(client, "kettle", 5, key="delivery-1", reason="bought").json()["onHand"] == 5


def test_without_a_key_each_restock_adds(client: httpx2.Client, seed: Any) -> None:
    seed(kettle=0)
    assert [restock(client, "kettle", 5).json()["onHand"] for _ in range(2)] == [5, 10]


@pytest.mark.parametrize(("item", "quantity"), [("kettle", 6), ("cup", 5)])
def test_a_key_of_another_restock_is_refused(
    client: httpx2.Client, database: Database, seed: Any, item: str, quantity: int
) -> None:
    seed(kettle=0, cup=0)
    restock(client, "kettle", 5, key="delivery-1")
    response = restock(client, item, quantity, key="delivery-1")
    assert (response.status_code, response.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert stock(database) == {"kettle": (5, 0), "cup": (0, 0)}


def test_a_key_is_not_used_up_by_a_restock_that_failed(client: httpx2.Client, database: Database, seed: Any) -> None:
    assert restock(client, "kettle", 5, key="delivery-1").status_code == 404
    client.put("/items/kettle", json={"name": "A kettle", "unitPrice": 1})
    assert restock(client, "kettle", 5, key="delivery-1").json()["onHand"] == 5


def moved(client: httpx2.Client, act: str, headers: dict[str, str]) -> httpx2.Response:
    body = {"quantity": 2, "reason": "Counted"}
    response: httpx2.Response = client.post(f"/items/kettle/{act}", json=body, headers=headers)
    return response


@pytest.mark.parametrize("act", ["restock", "correct"])
def test_stock_is_moved_only_in_a_state_that_was_asked_for(client: httpx2.Client, seed: Any, act: str) -> None:
    seed(kettle=1)
    seen = client.get("/items/kettle").headers["etag"]
    changed = moved(client, act, {"If-Match": seen})
    assert changed.status_code == 200
    assert changed.headers["etag"] == client.get("/items/kettle").headers["etag"] != seen
    for condition in ({"If-Match": seen}, {"If-None-Match": changed.headers["etag"]}, {"If-None-Match": "*"}):
        refused = moved(client, act, condition)
        assert (refused.status_code, refused.json()["type"]) == (412, "/problems/item-changed")
    assert client.get("/items/kettle").json()["onHand"] == 3
    for condition in ({"If-Match": "*"}, {"If-None-Match": seen}):
        assert moved(client, act, condition).status_code == 200


@pytest.mark.parametrize("act", ["restock", "correct"])
def test_what_was_done_with_a_key_is_done_whatever_its_condition_is_then(
    client: httpx2.Client, seed: Any, act: str
) -> None:
    seed(kettle=1)
    seen = client.get("/items/kettle").headers["etag"]
    assert moved(client, act, {"Idempotency-Key": "k", "If-Match": '"another"'}).status_code == 412
    answers = [moved(client, act, {"Idempotency-Key": "k", "If-Match": seen}) for _ in range(2)]
    assert [(answer.status_code, answer.json()["onHand"]) for answer in answers] == [(200, 3)] * 2


def test_a_key_that_comes_many_times_at_once_adds_once(client: httpx2.Client, database: Database, seed: Any) -> None:
    seed(kettle=0, cup=0)
    with ThreadPoolExecutor(8) as pool:
        items = ["kettle", "cup"] * 8
        answers = list(pool.map(lambda item: restock(client, item, 5, key="delivery-1").status_code, items))
    assert sorted(answers) == [200] * 8 + [422] * 8
    assert sorted(stock(database).values()) == [(0, 0), (5, 0)]


def test_restocks_and_orders_at_once_add_up(client: httpx2.Client, database: Database, seed: Any) -> None:
    seed(kettle=50, cup=50)

    def work(number: int) -> None:
        restock(client, "kettle" if number % 2 else "cup", 1)
        deliver(database, payment_completed, [paid(f"o{number}", {"kettle": 1, "cup": 1})])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    assert stock(database) == {"kettle": (30, 40), "cup": (30, 40)}
