"""Methods, addresses and queries as clients write them."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from support.rawhttp import UNKNOWN, kind, post, request, sent

from oms_order.requests import SAMPLE


def test_head_is_get_without_the_body(service: Any) -> None:
    location = post(service).headers["location"]
    for address in ("/order", "/order?limit=1&status=PENDING", location):
        got, head = service.client.get(address), service.client.head(address)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == got.headers["content-length"]
        assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize(
    ("address", "status"), [(f"/order/{UNKNOWN}", 404), ("/order?Status=PAID", 422), ("/nowhere", 404)]
)
def test_head_is_refused_as_get_is(service: Any, address: str, status: int) -> None:
    assert service.client.head(address).status_code == service.client.get(address).status_code == status


def test_a_stream_has_no_head(service: Any) -> None:
    response = service.client.head(f"{post(service).headers['location']}/events")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, OPTIONS")


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("/order", "GET, HEAD, OPTIONS, POST"),
        (f"/order/{UNKNOWN}", "GET, HEAD, OPTIONS"),
        (f"/order/{UNKNOWN}/cancel", "OPTIONS, POST"),
    ],
)
def test_an_address_lists_the_methods_that_it_accepts(service: Any, address: str, allowed: str) -> None:
    asked, refused = service.client.options(address), service.client.request("TRACE", address)
    assert (asked.status_code, asked.content, asked.headers["allow"]) == (204, b"", allowed)
    assert (kind(refused), refused.headers["allow"]) == ((405, "method-not-allowed"), allowed)


def test_an_unknown_address_accepts_no_method(service: Any) -> None:
    assert kind(service.client.options("/nowhere"))[0] == 404


@pytest.mark.parametrize(
    ("email", "asked"),
    [
        ("Test@GMAIL.com", ["test@gmail.com", "TEST@GMAIL.COM"]),
        ("ana@xn--bcher-kva.example", ["ana@xn--bcher-kva.example", "ana@bücher.example"]),
        ("ana@bücher.example", ["ana@xn--bcher-kva.example", "ANA@bücher.example"]),
        (
            "Zoë.Ö@Bücher.example",
            ["ZOË.Ö@BÜCHER.EXAMPLE", "zoë.ö@bücher.example", "zoE\u0308.O\u0308@xn--bcher-kva.example"],
        ),
        ("ДАША@пример.example", ["даша@ПРИМЕР.example", "Даша@пример.example"]),
    ],
)
def test_an_order_is_found_by_its_email_however_that_is_written(service: Any, email: str, asked: list[str]) -> None:
    post(service, json.dumps({**SAMPLE, "customer": {**SAMPLE["customer"], "email": email}}).encode())
    for one in asked:
        assert len(service.client.get("/order", params={"email": one}).json()) == 1


def test_an_email_whose_plus_was_sent_as_it_is_is_not_looked_for_as_another(service: Any) -> None:
    post(service, json.dumps({**SAMPLE, "customer": {**SAMPLE["customer"], "email": "ana+tag@example.com"}}).encode())
    assert len(service.client.get("/order?email=ana%2Btag@example.com").json()) == 1
    response = service.client.get("/order?email=ana+tag@example.com")
    assert kind(response) == (422, "invalid-request")
    assert response.json()["errors"] == [{"field": "email", "message": "must have its + encoded as %2B"}]


def test_an_id_may_be_percent_encoded_and_is_otherwise_as_it_was_given(service: Any) -> None:
    order_id = post(service).json()["id"]
    encoded = "".join(f"%{ord(character):02X}" for character in order_id)
    assert service.client.get(f"/order/{encoded}").json()["id"] == order_id
    for other in (
        order_id.upper(),
        order_id.replace("-", ""),
        f"{{{order_id}}}",
        f"{order_id}%00",
        quote("../order", safe=""),
    ):
        assert kind(service.client.get(f"/order/{other}"))[0] == 404


@pytest.mark.parametrize("since", ["0.5", "1700000000", "1700000000000", "-1", "2026-01-31"])
def test_a_time_is_not_a_number(service: Any, since: str) -> None:
    response = service.client.get("/order", params={"since": since})
    assert kind(response) == (422, "invalid-request")
    assert [error["field"] for error in response.json()["errors"]] == ["since"]


def test_headers_of_proxies_do_not_change_an_answer(service: Any) -> None:
    plain = post(service)
    forwarded = post(
        service, X_Forwarded_Host="evil.example", X_Forwarded_Proto="https", Forwarded="host=evil.example", Via="1.1 p"
    )
    assert forwarded.status_code == 202
    assert forwarded.headers["location"].startswith("/order/")
    assert set(plain.headers) == set(forwarded.headers)


def test_a_method_in_a_header_is_ignored(service: Any) -> None:
    assert post(service, X_HTTP_Method_Override="DELETE").status_code == 202


def test_a_target_in_absolute_form_is_the_same_address(service: Any) -> None:
    answer = sent(service, request("GET http://shop.example/order HTTP/1.1\nHost: shop.example\nConnection: close"))
    assert answer.startswith(b"HTTP/1.1 200 ")
