"""Idempotency keys: however often and wherever a request is repeated, there is one order."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from oms_chassis.http.problems import Problem
from oms_chassis.retention import prune
from oms_order.idempotency import InFlight
from oms_order.requests import SAMPLE

KEY = {"Idempotency-Key": "first"}
OTHER = {**SAMPLE, "items": [{"id": "Item1", "quantity": 3}]}


def same(one: httpx2.Response, other: httpx2.Response) -> bool:
    names = ("location", "content-type")
    headers = [[response.headers[name] for name in names] for response in (one, other)]
    return (one.status_code, one.content, headers[0]) == (other.status_code, other.content, headers[1])


def prune_keys(service: Any) -> None:
    (retention,) = service.components.retentions
    prune(service.database, retention)


def test_the_same_body_gets_the_first_answer_again(service: Any) -> None:
    first = service.client.post("/order", json=SAMPLE, headers=KEY)
    again = service.client.post("/order", json=SAMPLE, headers=KEY)
    assert same(first, again)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert [service.rows(table) for table in ("orders", "outbox", "timeline", "order_line")] == [1] * 4


def test_another_cvv_is_the_same_body(service: Any, body: dict[str, Any]) -> None:
    first = service.client.post("/order", json=body, headers=KEY)
    body["paymentDetails"]["cvv"] = "999"
    assert same(first, service.client.post("/order", json=body, headers=KEY))


@pytest.mark.parametrize("quantity", ["2.0", "2e0", "0.2e1"])
def test_a_number_is_the_same_however_json_writes_it(service: Any, quantity: str) -> None:
    body = {**SAMPLE, "items": [{"id": "Item1", "quantity": 2}]}
    first = service.client.post("/order", json=body, headers=KEY)
    written = json.dumps(body).replace('"quantity": 2', f'"quantity": {quantity}')
    again = service.client.post("/order", content=written, headers={**KEY, "Content-Type": "application/json"})
    assert (first.status_code, again.status_code) == (202, 202)
    assert same(first, again)


@pytest.mark.parametrize("part", ["items", "cardNumber", "email"])
def test_another_body_is_refused(service: Any, body: dict[str, Any], part: str) -> None:
    service.client.post("/order", json=body, headers=KEY)
    match part:
        case "items":
            body["items"][0]["quantity"] = 3
        case "cardNumber":
            body["paymentDetails"]["cardNumber"] = "4242424242424242"
        case _:
            body["customer"]["email"] = "other@example.com"
    refused = service.client.post("/order", json=body, headers=KEY)
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert service.rows("orders") == 1


def test_another_key_makes_another_order(service: Any) -> None:
    first = service.client.post("/order", json=SAMPLE, headers=KEY)
    second = service.client.post("/order", json=SAMPLE, headers={"Idempotency-Key": "second"})
    assert first.json()["id"] != second.json()["id"]


@pytest.mark.parametrize("key", ["", "two words", "x" * 201, "caf\xe9"])
def test_a_text_that_is_not_a_key_is_refused(service: Any, key: str) -> None:
    refused = service.client.post("/order", json=SAMPLE, headers={"Idempotency-Key": key.encode("latin-1")})
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/bad-idempotency-key")
    assert service.rows("orders") == 0


def test_a_key_holds_after_a_restart_and_in_every_replica(start: Callable[..., Any]) -> None:
    first = start().client.post("/order", json=SAMPLE, headers=KEY)
    other = start()
    assert same(first, other.client.post("/order", json=SAMPLE, headers=KEY))
    assert other.client.post("/order", json=OTHER, headers=KEY).status_code == 422


def test_one_key_sent_at_once_to_two_replicas_makes_one_order(start: Callable[..., Any]) -> None:
    replicas = [start(), start()]

    def post(number: int) -> httpx2.Response:
        client: httpx2.Client = replicas[number % 2].client
        return client.post("/order", json=SAMPLE, headers={"Idempotency-Key": f"key-{number // 8}"})

    with ThreadPoolExecutor(16) as pool:
        responses = list(pool.map(post, range(80)))
    assert {response.status_code for response in responses} <= {202, 409}
    ids = {response.json()["id"] for response in responses if response.status_code == 202}
    assert len(ids) == replicas[0].rows("orders") == replicas[0].rows("outbox") == 10


def test_a_key_whose_first_request_is_under_way_is_refused() -> None:
    in_flight = InFlight()
    with in_flight.hold("a", "key"), in_flight.hold("b", "key"):
        with pytest.raises(Problem) as refused, in_flight.hold("a", "key"):
            pass
        assert (refused.value.status, refused.value.kind) == (409, "idempotency-key-in-use")
    with in_flight.hold("a", "key"):
        pass


def test_a_replay_needs_neither_room_nor_the_item(start: Callable[..., Any]) -> None:
    first_replica, later = start(), start(outbox_limit=1)
    first = first_replica.client.post("/order", json=SAMPLE, headers=KEY)
    later.client.post("/order", json=SAMPLE)
    later.task("backpressure")
    assert later.client.post("/order", json=SAMPLE).status_code == 503
    assert same(first, later.client.post("/order", json=SAMPLE, headers=KEY))
    assert later.client.post("/order", json=OTHER, headers=KEY).json()["type"] == "/problems/idempotency-key-reused"


def test_a_refused_order_leaves_its_key_free(service: Any) -> None:
    unknown = {**SAMPLE, "items": [{"id": "nothing", "quantity": 1}]}
    assert service.client.post("/order", json=unknown, headers=KEY).status_code == 422
    assert service.client.post("/order", json=SAMPLE, headers=KEY).status_code == 202


def test_keys_are_forgotten_after_their_days(service: Any) -> None:
    first = service.client.post("/order", json=SAMPLE, headers=KEY)
    prune_keys(service)
    assert service.rows("idempotency") == 1
    service.database.execute("UPDATE idempotency SET created_at = now() - interval '8 days'")
    prune_keys(service)
    assert service.client.post("/order", json=SAMPLE, headers=KEY).json()["id"] != first.json()["id"]
