"""POST /order: what is accepted, and what is in the database afterwards."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.chassis import pending_events

from oms_contracts.topics import ORDER_CREATED
from oms_order.requests import SAMPLE


def test_the_sample_order_is_accepted(service: Any) -> None:
    response = service.client.post("/order", json=SAMPLE)
    assert response.status_code == 202
    answer = response.json()
    assert answer["status"] == "PENDING"
    assert (answer["total"], answer["currency"]) == (200, "USD")
    assert response.headers["location"] == f"/order/{answer['id']}"
    assert response.headers["content-type"] == "application/json"


def test_an_accepted_order_can_be_read_at_its_location(service: Any) -> None:
    response = service.client.post("/order", json=SAMPLE)
    order = service.client.get(response.headers["location"]).json()
    assert order["customer"] == {
        "name": "Anjana",
        "email": "test@gmail.com",
        "phoneNumber": "762222222",
        "phoneE164": "+94762222222",
    }
    assert order["lines"] == [{"itemId": "Item1", "name": "Item 1", "quantity": 2, "unitPrice": 100}]
    assert order["payment"] == {"brand": "test", "last4": "1234", "expiryDate": "02/22"}
    assert [(step["position"], step["status"]) for step in order["timeline"]] == [(1, "PENDING")]
    assert order["placedAt"] == response.json()["placedAt"] == order["timeline"][0]["at"]


def test_an_accepted_order_is_published_with_all_that_they_need(service: Any) -> None:
    trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
    response = service.client.post("/order", json=SAMPLE, headers={"traceparent": trace})
    (event,) = pending_events(service.database, ORDER_CREATED)
    assert event.subject == event.data.order_id == response.json()["id"]
    assert str(event.traceparent).startswith("00-0123456789abcdef0123456789abcdef-")
    assert event.data.customer.phone_e164 == "+94762222222"
    assert [(line.item_id, line.quantity, line.unit_price) for line in event.data.lines] == [("Item1", 2, 100)]
    assert event.data.payment.token.startswith("sim-")
    assert event.data.total == 200


def test_a_price_is_fixed_when_the_order_is_accepted(start: Callable[..., Any], body: dict[str, Any]) -> None:
    service = start()
    body["items"] = [{"id": "Item2", "quantity": 3}, {"id": "Item5", "quantity": 1}]
    placed = service.client.post("/order", json=body)
    service.database.execute("UPDATE item SET unit_price = 1, version = 2, seen_at = clock_timestamp()")
    service.task("catalogue")
    assert service.client.get(placed.headers["location"]).json()["total"] == 1100
    assert service.client.post("/order", json=body).json()["total"] == 4


@pytest.mark.parametrize(
    ("phone", "e164"),
    [("762222222", "+94762222222"), ("+44 20 7946 0958", "+442079460958"), ("0000000000", None), ("12345", None)],
)
def test_a_phone_number_is_kept_as_it_came(service: Any, body: dict[str, Any], phone: str, e164: str | None) -> None:
    body["customer"]["phoneNumber"] = phone
    location = service.client.post("/order", json=body).headers["location"]
    customer = service.client.get(location).json()["customer"]
    assert (customer["phoneNumber"], customer.get("phoneE164")) == (phone, e164)


@pytest.mark.parametrize(
    ("pasted", "plain", "e164"),
    [
        ("\u202a+94 76 222 2222\u202c", "+94 76 222 2222", "+94762222222"),
        ("+94\u00a076\u00a0222\u00a02222", "+94 76 222 2222", "+94762222222"),
        ("+94\u201176\u2011222\u20112222", "+94-76-222-2222", "+94762222222"),
        ("+94\u201376\u2212222\u20142222", "+94-76-222-2222", "+94762222222"),
        ("\uff0b\uff19\uff14762222222", "+94762222222", "+94762222222"),
        ("\u0660\u0667\u0666\u0662\u0662\u0662\u0662\u0662\u0662\u0662", "0762222222", "+94762222222"),
        ("(+49) 30 901820", "+49 30 901820", "+4930901820"),
        ("(202) 555-0143", "(202) 555-0143", None),
        (" +94762222222\u200b\ufeff", "+94762222222", "+94762222222"),
        ("+94\t762222222", "+94 762222222", "+94762222222"),
        ("tel:+94762222222", "+94762222222", "+94762222222"),
        ("TEL:+94762222222", "+94762222222", "+94762222222"),
    ],
)
def test_a_phone_number_may_hold_what_is_pasted_with_it(
    service: Any, body: dict[str, Any], pasted: str, plain: str, e164: str | None
) -> None:
    body["customer"]["phoneNumber"] = pasted
    location = service.client.post("/order", json=body).headers["location"]
    customer = service.client.get(location).json()["customer"]
    assert (customer["phoneNumber"], customer.get("phoneE164")) == (plain, e164)


NUMBER, SPACED = "4242424242424242", "4242 4242 4242 4242"


@pytest.mark.parametrize(
    ("part", "name", "pasted", "plain"),
    [
        ("customer", "email", " ada@example.com ", "ada@example.com"),
        ("customer", "email", "\u202aada@example.com\u202c", "ada@example.com"),
        ("customer", "email", "\ufeffada@example.com\u200b\u00a0", "ada@example.com"),
        ("customer", "email", "mailto:ada@example.com\n", "ada@example.com"),
        ("customer", "email", "MailTo:ada@example.com", "ada@example.com"),
        ("paymentDetails", "cardNumber", SPACED.replace(" ", "\u00a0"), "4242"),
        ("paymentDetails", "cardNumber", SPACED.replace(" ", "\u202f"), "4242"),
        ("paymentDetails", "cardNumber", SPACED.replace(" ", "\u2011"), "4242"),
        ("paymentDetails", "cardNumber", f" {NUMBER}\u200b\n", "4242"),
        ("paymentDetails", "cardNumber", "\uff14\uff12\uff14\uff12" * 4, "4242"),
        ("paymentDetails", "expiryDate", " 12/30\u200e", "12/30"),
        ("paymentDetails", "expiryDate", "\uff11\uff12/\uff13\uff10", "12/30"),
        ("paymentDetails", "cvv", "\u00a0123 ", "4242"),
    ],
)
def test_what_looks_right_may_be_pasted(
    service: Any, body: dict[str, Any], part: str, name: str, pasted: str, plain: str
) -> None:
    body["paymentDetails"] |= {"cardNumber": NUMBER, "expiryDate": "12/30"}
    body[part][name] = pasted
    placed = service.client.post("/order", json=body)
    assert placed.status_code == 202
    shown = service.client.get(placed.headers["location"]).json()
    assert plain in {shown["customer"]["email"], shown["payment"]["last4"], shown["payment"]["expiryDate"]}
    assert pasted not in json.dumps(shown, ensure_ascii=False)


def test_what_is_pasted_is_the_same_order_when_it_is_sent_plainly(service: Any, body: dict[str, Any]) -> None:
    body["paymentDetails"]["cardNumber"] = f"{SPACED}\u00a0"
    first = service.client.post("/order", json=body, headers={"Idempotency-Key": "k"})
    body["paymentDetails"]["cardNumber"] = SPACED
    again = service.client.post("/order", json=body, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.content) == (202, first.content)


def test_orders_that_come_together_are_all_accepted(service: Any) -> None:
    with ThreadPoolExecutor(16) as pool:
        responses = list(pool.map(lambda _: service.client.post("/order", json=SAMPLE), range(64)))
    assert {response.status_code for response in responses} == {202}
    assert len({response.json()["id"] for response in responses}) == 64
    assert [service.rows(table) for table in ("orders", "order_line", "timeline", "outbox")] == [64] * 4


def test_the_widest_order_is_accepted(service: Any, body: dict[str, Any]) -> None:
    service.database.execute(
        "INSERT INTO item SELECT 'x' || n, 'X', 1, 'USD', true, 1 FROM generate_series(1, 100) AS n"
    )
    body["items"] = [{"id": f"x{n}", "quantity": 10_000} for n in range(1, 101)]
    body["customer"]["name"] = body["paymentDetails"]["name"] = "\N{SNOWMAN}" * 200
    response = service.client.post("/order", json=body)
    assert response.status_code == 202
    assert response.json()["total"] == 1_000_000
    lines = service.client.get(response.headers["location"]).json()["lines"]
    assert [line["itemId"] for line in lines] == [item["id"] for item in body["items"]]


def test_neither_number_nor_cvv_nor_holder_is_stored(service: Any, body: dict[str, Any]) -> None:
    body["paymentDetails"] = {
        "name": "Zaphod Canary",
        "cardNumber": "4242 4242-4242 4242",
        "expiryDate": "12/99",
        "cvv": "9713",
    }
    response = service.client.post("/order", json=body, headers={"Idempotency-Key": "k"})
    assert response.status_code == 202
    stored = []
    for table in ("orders", "order_line", "timeline", "idempotency"):
        stored += [str(row) for row in service.database.execute(f"SELECT * FROM {table}")]
    stored += [event.encode() for event in pending_events(service.database)]
    text = "".join(stored)
    for secret in ("4242424242424242", "4242 4242-4242 4242", "9713", "Canary"):
        assert secret not in text


def test_an_item_that_another_replica_received_can_be_ordered_at_once(start: Callable[..., Any], body: Any) -> None:
    service = start()
    service.client.post("/order", json=SAMPLE)
    service.database.execute("INSERT INTO item VALUES ('new', 'New', 7, 'USD', true, 1)")
    body["items"] = [{"id": "new", "quantity": 1}]
    assert service.client.post("/order", json=body).json()["total"] == 7


def test_while_the_outbox_is_full_no_order_is_taken(start: Callable[..., Any]) -> None:
    service = start(outbox_limit=1)
    for _ in range(2):
        assert service.client.post("/order", json=SAMPLE).status_code == 202
    service.task("backpressure")
    refused = service.client.post("/order", json=SAMPLE)
    assert (refused.status_code, refused.json()["type"]) == (503, "/problems/busy")
    assert int(refused.headers["retry-after"]) > 0
    assert service.rows("orders") == 2
    service.database.execute("DELETE FROM outbox")
    service.task("backpressure")
    assert service.client.post("/order", json=SAMPLE).status_code == 202


def test_without_a_database_the_caller_is_asked_to_come_again(start: Callable[..., Any]) -> None:
    service = start(database_url="postgresql://nobody:secret@127.0.0.1:1/none")
    for response in (
        service.client.post("/order", json=SAMPLE),
        service.client.post("/order", json=SAMPLE, headers={"Idempotency-Key": "k"}),
        service.client.get("/order"),
        service.client.get("/order/018f0000-0000-7000-8000-000000000000/events"),
    ):
        assert (response.status_code, response.json()["type"]) == (503, "/problems/unavailable")
        assert "retry-after" in response.headers
        assert "secret" not in response.text


def test_a_service_that_drains_takes_no_order(start: Callable[..., Any]) -> None:
    service = start()
    service.components.writers[0].stop()
    assert service.client.post("/order", json=SAMPLE).status_code == 503
