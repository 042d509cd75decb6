"""POST /order: what is refused. Each mistake has its own problem, and leaves nothing behind."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from oms_chassis.http.problems import Problem
from oms_order.emails import checked
from oms_order.phones import e164
from oms_order.requests import SAMPLE
from oms_order.schemas import OrderBody

Change = Callable[[dict[str, Any]], object]

CUSTOMER: dict[str, tuple[dict[str, object], str, str]] = {
    "a name of another type": ({"name": 7}, "wrong-type", "customer.name"),
    "an empty name": ({"name": ""}, "bad-length", "customer.name"),
    "a blank name": ({"name": "   "}, "bad-length", "customer.name"),
    "an over-long name": ({"name": "n" * 201}, "bad-length", "customer.name"),
    "a name with a NUL": ({"name": "a\x00b"}, "bad-text", "customer.name"),
    "a name that a terminal obeys": ({"name": "Ada\x9b2J"}, "bad-text", "customer.name"),
    "a name of which nothing is seen": ({"name": "\u200b\u2060\u3164\u00ad"}, "bad-text", "customer.name"),
    "an email without a domain": ({"email": "someone@"}, "bad-email", "customer.email"),
    "an email without an at sign": ({"email": "example.com"}, "bad-email", "customer.email"),
    "an email with a line break": ({"email": "a@example.com\nBcc: b@example.com"}, "bad-email", "customer.email"),
    "an email that mail programs decode": ({"email": "=?utf-8?q?=00?=a@example.com"}, "bad-email", "customer.email"),
    "an over-long email": ({"email": "a@" + "b" * 250 + ".com"}, "bad-length", "customer.email"),
    "an email that is over-long once it is normalised": (
        {"email": "a@" + ".".join(["\ufb03" * 19] * 4) + ".com"},
        "bad-email",
        "customer.email",
    ),
    "a phone number of letters": ({"phoneNumber": "not a number"}, "bad-phone", "customer.phoneNumber"),
    "a phone number that is short": ({"phoneNumber": "1234"}, "bad-phone", "customer.phoneNumber"),
    "a phone number that is long": ({"phoneNumber": "1234567890123456"}, "bad-phone", "customer.phoneNumber"),
    "a phone number of no country": ({"phoneNumber": "+999123456789"}, "bad-phone", "customer.phoneNumber"),
    "a phone number that is long, and mostly unseen": (
        {"phoneNumber": "\u200b" * 40 + "762222222"},
        "bad-length",
        "customer.phoneNumber",
    ),
    "a phone number with two plus signs": ({"phoneNumber": "+94+762222222"}, "bad-phone", "customer.phoneNumber"),
    "a phone number that is a number": ({"phoneNumber": 762222222}, "wrong-type", "customer.phoneNumber"),
    "an unknown field": ({"nickname": "x"}, "unknown-field", "customer.nickname"),
}
ITEMS: dict[str, tuple[object, str, str]] = {
    "no list of items": ("Item1", "wrong-type", "items"),
    "an empty list of items": ([], "bad-length", "items"),
    "101 items": ([{"id": f"x{n}", "quantity": 1} for n in range(101)], "bad-length", "items"),
    "an empty id": ([{"id": "", "quantity": 1}], "bad-length", "items[0].id"),
    "an over-long id": ([{"id": "x" * 65, "quantity": 1}], "bad-length", "items[0].id"),
    "a missing quantity": ([{"id": "Item1"}], "missing-field", "items[0].quantity"),
    "a quantity of 0": ([{"id": "Item1", "quantity": 0}], "out-of-range", "items[0].quantity"),
    "a negative quantity": ([{"id": "Item1", "quantity": -1}], "out-of-range", "items[0].quantity"),
    "a quantity of a thousand millions": ([{"id": "Item1", "quantity": 10**9}], "out-of-range", "items[0].quantity"),
    "a quantity beyond any integer": ([{"id": "Item1", "quantity": 10**30}], "out-of-range", "items[0].quantity"),
    "a broken quantity": ([{"id": "Item1", "quantity": 1.5}], "wrong-type", "items[0].quantity"),
    "a quantity without an end": ([{"id": "Item1", "quantity": 1e300}], "out-of-range", "items[0].quantity"),
    "a quantity as text": ([{"id": "Item1", "quantity": "2"}], "wrong-type", "items[0].quantity"),
    "a quantity as truth": ([{"id": "Item1", "quantity": True}], "wrong-type", "items[0].quantity"),
    "an item twice": (
        [{"id": "Item1", "quantity": 1}, {"id": "Item2", "quantity": 1}, {"id": "Item1", "quantity": 2}],
        "duplicate-item",
        "items[2].id",
    ),
    "an unknown item": (
        [{"id": "Item1", "quantity": 1}, {"id": "unheard", "quantity": 1}],
        "unknown-item",
        "items[1].id",
    ),
}
PAYMENT: dict[str, tuple[dict[str, object], str, str]] = {
    "no test card": ({"cardNumber": "4929000000006"}, "card-refused", "paymentDetails.cardNumber"),
    "letters for a card number": ({"cardNumber": "4929secret000006"}, "bad-card-number", "paymentDetails.cardNumber"),
    "a card number as a number": ({"cardNumber": 4929000000006}, "wrong-type", "paymentDetails.cardNumber"),
    "an over-long card number": ({"cardNumber": "4" * 20}, "bad-card-number", "paymentDetails.cardNumber"),
    "a long cvv": ({"cvv": "98765"}, "bad-cvv", "paymentDetails.cvv"),
    "a cvv as a number": ({"cvv": 987}, "wrong-type", "paymentDetails.cvv"),
    "month 13": ({"expiryDate": "13/22"}, "bad-expiry", "paymentDetails.expiryDate"),
    "month 0": ({"expiryDate": "00/22"}, "bad-expiry", "paymentDetails.expiryDate"),
    "a year of four digits": ({"expiryDate": "02/2022"}, "bad-expiry", "paymentDetails.expiryDate"),
    "an expiry with a line break": ({"expiryDate": "2/22\n"}, "bad-expiry", "paymentDetails.expiryDate"),
    "a holder of whom nothing is seen": ({"name": "\u2800\ufe0f\u115f"}, "bad-text", "paymentDetails.name"),
    "no holder": ({"name": ""}, "bad-length", "paymentDetails.name"),
}
MISTAKES = [
    *(pytest.param({"customer": {**SAMPLE["customer"], **c}}, k, f, id=n) for n, (c, k, f) in CUSTOMER.items()),
    *(pytest.param({"items": items}, k, f, id=n) for n, (items, k, f) in ITEMS.items()),
    *(
        pytest.param({"paymentDetails": {**SAMPLE["paymentDetails"], **c}}, k, f, id=n)
        for n, (c, k, f) in PAYMENT.items()
    ),
    pytest.param({"coupon": "x"}, "unknown-field", "coupon", id="an unknown field at the top"),
    pytest.param({"4242424242424242": "x"}, "unknown-field", "?", id="an unknown field that is a card number"),
    pytest.param({"customer": None}, "wrong-type", "customer", id="no customer"),
]


@pytest.mark.parametrize(("change", "kind", "field"), MISTAKES)
def test_a_mistake_is_named_and_leaves_nothing(service: Any, change: dict[str, Any], kind: str, field: str) -> None:
    response = service.client.post("/order", json={**SAMPLE, **change}, headers={"Idempotency-Key": "mistake"})
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, problem["type"]) == (422, f"/problems/{kind}")
    assert [error["field"] for error in problem["errors"]] == [field]
    assert_nothing_is_stored(service)


@pytest.mark.parametrize(
    ("phone", "kind"),
    [
        ("+94 76 222 2222 x12", "letters"),
        ("+94762222222;ext=12", "punctuation"),
        ("+94762222222\x00", "control characters"),
        ("+94762222222\u260e", "symbols"),
        ("1234", "5 to 15 digits"),
        ("7622+22222", "a \\+ may only be its first character"),
    ],
)
def test_a_phone_number_is_refused_with_the_kind_of_character_that_is_at_fault(
    service: Any, phone: str, kind: str
) -> None:
    response = service.client.post("/order", json={**SAMPLE, "customer": {**SAMPLE["customer"], "phoneNumber": phone}})
    (error,) = response.json()["errors"]
    assert re.search(kind, error["message"])
    assert phone not in response.text


@pytest.mark.parametrize("body", [b"", b"{", b'{"customer": }', b"\xff\xfe", b"[" * 10_000, b'{"a": "\\ud800"}'])
def test_what_is_not_json_is_refused(service: Any, body: bytes) -> None:
    response = service.client.post("/order", content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["type"]) == (400, "/problems/malformed-json")
    assert_nothing_is_stored(service)


@pytest.mark.parametrize("body", ["[]", "7", "null", '"order"'])
def test_json_that_is_no_object_is_refused(service: Any, body: str) -> None:
    response = service.client.post("/order", content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["type"]) == (422, "/problems/wrong-type")
    assert response.json()["errors"][0]["field"] == "body"


@pytest.mark.parametrize("media_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_another_media_type_is_refused(service: Any, media_type: str | None) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    response = service.client.post("/order", content=json.dumps(SAMPLE), headers=headers)
    assert (response.status_code, response.json()["type"]) == (415, "/problems/unsupported-media-type")
    assert_nothing_is_stored(service)


def test_json_with_a_charset_is_taken(service: Any) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert service.client.post("/order", content=json.dumps(SAMPLE), headers=headers).status_code == 202


@pytest.mark.parametrize("chunked", [False, True])
def test_an_oversize_body_is_refused(service: Any, chunked: bool) -> None:
    body = json.dumps({**SAMPLE, "padding": "x" * 70_000}).encode()
    content = iter([body[:40_000], body[40_000:]]) if chunked else body
    response = service.client.post("/order", content=content, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["type"]) == (413, "/problems/body-too-large")
    assert_nothing_is_stored(service)


def test_several_mistakes_are_all_named(service: Any) -> None:
    body = {**SAMPLE, "items": [{"id": "Item1", "quantity": 0}], "customer": {**SAMPLE["customer"], "email": "x"}}
    problem = service.client.post("/order", json=body).json()
    assert problem["type"] == "/problems/invalid-request"
    assert {error["field"] for error in problem["errors"]} == {"customer.email", "items[0].quantity"}


def test_an_order_beyond_what_can_be_charged_is_refused(service: Any, body: dict[str, Any]) -> None:
    service.database.execute("INSERT INTO item VALUES ('gold', 'Gold', 9000000000000000000, 'USD', true, 1)")
    body["items"] = [{"id": "gold", "quantity": 10_000}]
    assert service.client.post("/order", json=body).json()["type"] == "/problems/total-too-large"


def test_items_of_two_currencies_make_no_order(service: Any, body: dict[str, Any]) -> None:
    service.database.execute("INSERT INTO item VALUES ('euro', 'Euro', 1, 'EUR', true, 1)")
    body["items"].append({"id": "euro", "quantity": 1})
    problem = service.client.post("/order", json=body).json()
    assert (problem["type"], problem["errors"][0]["field"]) == ("/problems/mixed-currencies", "items[1].id")


CARD = "4111111111111111"


@pytest.mark.parametrize(
    ("part", "name", "text"),
    [
        ("customer", "name", f"Ada {CARD}"),
        ("customer", "name", "4111 1111 1111 1111"),
        ("customer", "email", f"{CARD}@example.com"),
        ("customer", "phoneNumber", "378282246310005"),
        ("paymentDetails", "name", CARD),
    ],
)
def test_a_card_number_is_taken_where_one_belongs_and_nowhere_else(
    service: Any, part: str, name: str, text: str
) -> None:
    body = {**SAMPLE, part: {**SAMPLE[part], name: text}}
    refused = service.client.post("/order", json=body, headers={"Idempotency-Key": "mistake"})
    (error,) = refused.json()["errors"]
    assert (refused.status_code, error["field"]) == (422, f"{part}.{name}")
    assert error["message"] == "must not hold a card number"
    assert text not in refused.text
    assert_nothing_is_stored(service)


@pytest.mark.parametrize("key", [CARD, "4111-1111-1111-1111", f"order-{CARD}", "378282246310005"])
@pytest.mark.parametrize("path", ["", "/{order}/cancel", "/{order}/refund"])
def test_a_card_number_is_no_idempotency_key(service: Any, path: str, key: str) -> None:
    order = service.client.post("/order", json=SAMPLE).json()["id"]
    body = {"": SAMPLE, "/{order}/cancel": {}, "/{order}/refund": {"amount": 1}}[path]
    refused = service.client.post(f"/order{path.format(order=order)}", json=body, headers={"Idempotency-Key": key})
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/bad-idempotency-key")
    assert refused.json()["errors"] == [{"field": "Idempotency-Key", "message": "must not hold a card number"}]
    assert key not in refused.text
    assert [service.rows(table) for table in ("orders", "idempotency", "refund")] == [1, 0, 0]


@pytest.mark.parametrize(("act", "more"), [("cancel", {}), ("refund", {"amount": 1})])
def test_a_card_number_is_no_reason(service: Any, act: str, more: dict[str, Any]) -> None:
    order = service.client.post("/order", json=SAMPLE).json()["id"]
    refused = service.client.post(f"/order/{order}/{act}", json={**more, "reason": f"My card {CARD} was stolen"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "reason")
    assert CARD not in refused.text


def test_no_refusal_repeats_what_was_sent(service: Any) -> None:
    canary = "4929123456781234"
    bodies: list[Any] = [
        json.dumps(SAMPLE).replace(f'"{value}"', f'"{canary}{value}{canary}"')
        for value in ("Item1", "1234", "123", "02/22", "762222222", "test@gmail.com")
    ]
    bodies += [f'{{"cardNumber": "{canary}"', f'{{"{canary}": 1}}', f"[{canary}]", canary, f'"{canary}']
    bodies += [json.dumps({**SAMPLE, "items": [{"id": "Item1", "quantity": int(canary)}]})]
    for body in bodies:
        response = service.client.post("/order", content=body, headers={"Content-Type": "application/json"})
        assert response.status_code in {400, 422}
        assert canary not in response.text + str(response.headers)


PART = st.text("ab1.+-_", min_size=1, max_size=8)
TEXT = st.text(max_size=40)


@given(PART, PART, st.sampled_from(["com", "test", "local", "example", "x1", "c", "arpa", "org"]))
def test_an_everyday_address_is_judged_as_the_library_judges_it(local: str, domain: str, last: str) -> None:
    address = f"{local}@{domain}.{last}"
    try:
        expected = validate_email(address, check_deliverability=False).normalized
    except EmailNotValidError:
        expected = None
    try:
        judged = checked(address)
    except PydanticCustomError:
        judged = None
    assert judged == expected


@given(TEXT, st.text("0123456789+-() ./", max_size=20), TEXT, st.integers())
def test_what_is_let_through_can_be_stored(name: str, phone: str, item: str, quantity: int) -> None:
    body = {
        **SAMPLE,
        "customer": {"name": name, "email": "a@example.com", "phoneNumber": phone},
        "items": [{"id": item, "quantity": quantity}],
    }
    try:
        order = OrderBody.model_validate_json(json.dumps(body))
        form = e164(order.customer.phone_number, "LK")
    except (ValidationError, Problem):
        return
    assert order.customer.name.strip()
    assert "\x00" not in order.customer.name + order.items[0].id
    assert 1 <= order.items[0].quantity <= 10_000
    assert form is None or form.startswith("+")


def assert_nothing_is_stored(service: Any) -> None:
    for table in ("orders", "order_line", "timeline", "outbox", "idempotency"):
        assert service.rows(table) == 0
