"""Fingerprints: by which a body is recognised that is sent again, for as long as its key is kept."""

import hashlib
import hmac
import json
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr, ValidationError

from oms_gateway import providers
from oms_order import fingerprints
from oms_order.fingerprints import Fingerprint
from oms_order.refund_schemas import RefundBody
from oms_order.requests import SAMPLE
from oms_order.schemas import OrderBody, PaymentBody
from oms_order.settings import OrderSettings

ORDER = UUID("0198c0de-0000-7000-8000-000000000000")
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
    sent = OrderBody.model_validate_json(json.dumps(body))
    content = sent.model_dump(exclude_unset=True, exclude={"payment_details": {"cvv"}})  # it had no field of later ones
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


def test_a_field_of_a_later_release_that_is_null_is_as_one_that_is_not_there(body: dict[str, Any]) -> None:
    without = fingerprint(body, model=LaterBody)
    assert fingerprint({**body, "note": None}, model=LaterBody).value == without.value
    assert not fingerprint({**body, "note": "ring twice"}, model=LaterBody).matches(without.value)


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


def test_a_key_that_everybody_knows_is_for_the_simulator_only(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = EntryPoints(EntryPoint(name, "none", providers.GROUP) for name in ("simulator", "stripe"))
    monkeypatch.setattr(providers, "entry_points", lambda group: installed.select(group=group))
    assert OrderSettings(**DATABASE).gateway == "simulator"
    with pytest.raises(ValidationError, match="OMS_FINGERPRINT_KEY must be set") as refused:
        OrderSettings(**DATABASE, gateway="stripe")
    assert "development-only" not in str(refused.value)
    assert OrderSettings(**DATABASE, gateway="stripe", fingerprint_key=KEY).fingerprint_key == KEY


def test_an_act_is_known_by_what_the_release_before_took_of_it() -> None:
    """That of fields that say nothing, too, as they were sent."""
    sent: dict[str, Any] = {"amount": 10, "lines": None, "reason": None}
    of_before = fingerprints.VERSION + fingerprints._hmac({"act": "refund", "order": str(ORDER), **sent}, KEY)
    assert fingerprints.of_act("refund", ORDER, RefundBody(**sent), [KEY]).matches(of_before)
    assert not fingerprints.of_act("refund", ORDER, RefundBody(amount=11), [KEY]).matches(of_before)
    assert not fingerprints.of_act("cancel", ORDER, RefundBody(**sent), [KEY]).matches(of_before)
