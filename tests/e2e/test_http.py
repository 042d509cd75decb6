"""The order service's HTTP interface, as a client sees it."""

import json
from collections.abc import Iterator
from uuid import uuid4

import httpx2
from support.orders import body, ended, place


def events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Yield the events of a stream (html.spec.whatwg.org, 9.2), without its comments."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line and fields:
            yield fields
            fields = {}
        name, colon, value = line.partition(": ")
        if name and colon:
            fields[name] = value


def follow(orders: httpx2.Client, order_id: str, last: str | None = None) -> list[dict[str, str]]:
    """Return every event until the server ends the stream."""
    headers = {"Last-Event-ID": last} if last else {}
    with orders.stream("GET", f"/order/{order_id}/events", headers=headers, timeout=60.0) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        return list(events(response.iter_lines()))


def pages(orders: httpx2.Client, **params: str | int) -> Iterator[list[str]]:
    """Yield the ids on each page of a list, following its links."""
    response = orders.get("/order", params=params)
    yield [order["id"] for order in response.json()]
    while link := response.links.get("next"):
        response = orders.get(link["url"])
        yield [order["id"] for order in response.json()]


def test_an_order_is_accepted_with_its_location(orders: httpx2.Client) -> None:
    response = orders.post("/order", json=body())
    answer = response.json()
    assert response.status_code == 202
    assert response.headers["location"] == f"/order/{answer['id']}"
    assert answer["status"] == "PENDING"
    assert orders.get(response.headers["location"]).json()["total"] == answer["total"]


def test_a_stream_sends_every_status_and_ends(orders: httpx2.Client) -> None:
    order_id = place(orders, body())
    events = follow(orders, order_id)
    assert [json.loads(event["data"])["status"] for event in events] == ["PENDING", "PAID", "CONFIRMED"]
    assert [event["id"] for event in events] == ["1", "2", "3"]


def test_a_stream_continues_after_the_last_event_that_was_seen(orders: httpx2.Client) -> None:
    order_id = place(orders, body())
    assert [event["id"] for event in follow(orders, order_id, last="1")] == ["2", "3"]


def test_a_stream_that_was_seen_to_its_end_is_over(orders: httpx2.Client) -> None:
    order = ended(orders, place(orders, body()))
    response = orders.get(f"/order/{order['id']}/events", headers={"Last-Event-ID": "3"})
    assert response.status_code == 204


def test_pages_lead_through_all_orders_newest_first(orders: httpx2.Client) -> None:
    email = f"{uuid4().hex}@customers.example"
    placed = [place(orders, body(email=email)) for _ in range(5)]
    assert list(pages(orders, email=email, limit=2)) == [placed[4:2:-1], placed[2:0:-1], placed[0:1]]


def test_a_list_can_be_filtered_by_status(orders: httpx2.Client) -> None:
    order = ended(orders, place(orders, body()))
    email = order["customer"]["email"]
    assert list(pages(orders, email=email, status="CONFIRMED")) == [[order["id"]]]
    assert list(pages(orders, email=email, status="CANCELLED")) == [[]]


def test_a_list_can_begin_at_a_time(orders: httpx2.Client) -> None:
    email = f"{uuid4().hex}@customers.example"
    first, second = (orders.get(f"/order/{place(orders, body(email=email))}").json() for _ in range(2))
    assert list(pages(orders, email=email, since=second["placedAt"])) == [[second["id"]]]
    assert list(pages(orders, email=email, since=first["placedAt"])) == [[second["id"], first["id"]]]


def test_the_same_key_and_body_get_the_first_answer_again(orders: httpx2.Client) -> None:
    order, headers = body(), {"Idempotency-Key": uuid4().hex}
    first, second = (orders.post("/order", json=order, headers=headers) for _ in range(2))
    assert (second.status_code, second.json()) == (202, first.json())
    assert list(pages(orders, email=order["customer"]["email"])) == [[first.json()["id"]]]


def test_the_same_key_with_another_body_is_refused(orders: httpx2.Client) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    place(orders, body(), headers)
    response = orders.post("/order", json=body(("Item1", 3)), headers=headers)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "/problems/idempotency-key-reused"


def test_an_order_that_does_not_exist_is_not_found(orders: httpx2.Client) -> None:
    for path in (f"/order/{uuid4()}", "/order/none", f"/order/{uuid4()}/events"):
        response = orders.get(path)
        assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")


def test_a_refused_order_leaves_nothing(orders: httpx2.Client) -> None:
    order = body(("NoSuchItem", 1))
    assert orders.post("/order", json=order).status_code == 422
    assert list(pages(orders, email=order["customer"]["email"])) == [[]]


def test_an_order_of_a_client_that_offers_another_protocol_is_accepted_once(orders: httpx2.Client) -> None:
    key, offer = str(uuid4()), {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMA"}
    order = body()
    answers = [orders.post("/order", json=order, headers={**offer, "Idempotency-Key": key}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert len({answer.json()["id"] for answer in answers}) == 1
