"""Fingerprints: by which a body is recognised that is sent again, for as long as its key is kept."""

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from oms_order import fingerprints
from oms_order.fingerprints import Fingerprint
from oms_order.requests import SAMPLE
from oms_order.schemas import OrderBody, PaymentBody
from oms_order.settings import OrderSettings

KEY, OTHER_KEY = SecretStr("a key of tests"), SecretStr("another key of tests")
HEADER = {"Idempotency-Key": "first"}
DATABASE: dict[str, Any] = {"database_url": "postgresql://localhost/none", "kafka_bootstrap": "localhost:1"}


class LaterPayment(PaymentBody):
    billing_country: str | None = None


class LaterBody(OrderBody):
    """An order as a later release takes it."""

    payment_details: LaterPayment
    note: str | None = None


def fingerprint(body: dict[str, Any], *keys: SecretStr, model: type[OrderBody] = OrderBody) -> Fingerprint:
    return Fingerprint(model.model_validate_json(json.dumps(body)), keys or (KEY,))


def of_the_first_release(body: dict[str, Any], key: SecretStr) -> str:
    """What the first release stored."""
    content = OrderBody.model_validate_json(json.dumps(body)).model_dump(exclude={"payment_details": {"cvv"}})
    content["payment_details"]["card_number"] = body["paymentDetails"]["cardNumber"]
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return hmac.new(key.get_secret_value().encode(), text.encode(), hashlib.sha256).hexdigest()


def test_a_fingerprint_is_made_from_no_more_of_the_number_than_the_order_shows(body: dict[str, Any]) -> None:
    """Whoever has the key and the table learns nothing of a card that the table does not say."""
    body["paymentDetails"]["cardNumber"] = "4242 4242 4242 4242"
    first = fingerprint(body).value
    body["paymentDetails"]["cardNumber"] = "5555555555554242"
    assert fingerprint(body).value == first
    body["paymentDetails"]["cardNumber"] = "4242424242424241"
    assert fingerprint(body).value != first


@pytest.mark.parametrize(("field", "value"), [("name", "Someone Else"), ("expiryDate", "11/31")])
def test_another_holder_or_expiry_is_another_card(body: dict[str, Any], field: str, value: str) -> None:
    first = fingerprint(body).value
    body["paymentDetails"][field] = value
    assert not fingerprint(body).matches(first)


def test_a_release_with_further_fields_recognises_what_has_none_of_them(body: dict[str, Any]) -> None:
    earlier = fingerprint(body).value
    assert fingerprint(body, model=LaterBody).matches(earlier)
    assert not fingerprint({**body, "note": "ring twice"}, model=LaterBody).matches(earlier)


def test_what_the_first_release_stored_is_recognised(body: dict[str, Any]) -> None:
    stored = of_the_first_release(body, KEY)
    assert fingerprint(body).matches(stored)
    assert fingerprint(body, OTHER_KEY, KEY).matches(stored)
    assert fingerprint(body, model=LaterBody).matches(stored)
    body["paymentDetails"]["cardNumber"] = "4242424242424242"
    assert not fingerprint(body).matches(stored)


def test_what_is_stored_says_how_it_was_made(body: dict[str, Any]) -> None:
    assert fingerprint(body).value.startswith(fingerprints.VERSION)


def test_while_the_key_is_replaced_both_keys_hold(start: Callable[..., Any]) -> None:
    first = start(fingerprint_key=KEY).client.post("/order", json=SAMPLE, headers=HEADER)
    replaced = start(fingerprint_key=OTHER_KEY, fingerprint_key_previous=KEY)
    again = replaced.client.post("/order", json=SAMPLE, headers=HEADER)
    assert (again.status_code, again.content) == (202, first.content)
    later = start(fingerprint_key=OTHER_KEY)
    assert later.client.post("/order", json=SAMPLE, headers=HEADER).status_code == 422


def test_a_key_that_everybody_knows_is_for_the_simulator_only() -> None:
    assert OrderSettings(**DATABASE).gateway == "simulator"
    with pytest.raises(ValidationError, match="OMS_FINGERPRINT_KEY must be set") as refused:
        OrderSettings(**DATABASE, gateway="stripe")
    assert "development-only" not in str(refused.value)
    assert OrderSettings(**DATABASE, gateway="stripe", fingerprint_key=KEY).fingerprint_key == KEY
