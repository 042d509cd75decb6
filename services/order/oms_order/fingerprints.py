"""Fingerprints: HMACs that show whether a request that reuses an idempotency key has the same body as the first one.

Of the card, a fingerprint covers only what the order shows anyway: the last four digits, the expiry and the holder's
name. An HMAC of the whole number, stored next to its last four digits, would reveal the number to anybody with the HMAC
key: few candidates are left to try. So two cards of one holder with the same last digits and expiry count as the same.

A fingerprint covers only the fields that were sent, by their names on the wire, and null counts as absent: a field that
a later release adds does not change it. The stored text begins with the version of this scheme.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from oms_chassis.http.bodies import Body
from oms_order.schemas import OrderBody

VERSION = "2:"


class Fingerprint:
    """The fingerprint of one body: made with the first key, and recognised if any of the keys made it."""

    def __init__(self, body: OrderBody, keys: Sequence[SecretStr]) -> None:
        self._body, self._keys = body, keys

    @cached_property
    def value(self) -> str:
        """What is stored with the idempotency key."""
        return VERSION + _hmac(_content(self._body), self._keys[0])

    def matches(self, stored: str | None) -> bool:
        """Whether this body is the one that was stored."""
        if stored is None:
            return False
        if not stored.startswith(VERSION):
            return _is_one_of(stored, _first_content(self._body), self._keys)
        if hmac.compare_digest(stored, self.value):
            return True
        return _is_one_of(stored.removeprefix(VERSION), _content(self._body), self._keys[1:])


def of_act(act: str, order_id: UUID, body: Body, keys: Sequence[SecretStr]) -> "ActFingerprint":
    """The fingerprint of an act on an order: the act's name and all fields of its request."""
    return ActFingerprint({"act": act, "order": str(order_id), **body.model_dump(exclude_unset=True)}, keys)


class ActFingerprint:
    """The fingerprint of one act. It never equals that of a placed order, whatever the body.

    Empty fields (null, false, "") count as absent: some clients always send every field.
    """

    def __init__(self, sent: Mapping[str, Any], keys: Sequence[SecretStr]) -> None:
        said = {name: value for name, value in sent.items() if value}
        # The previous release included empty fields, and may have stored this key.
        self._contents, self._keys = (said, sent), keys
        self.value = VERSION + _hmac(said, keys[0])

    def matches(self, stored: str) -> bool:
        """Whether this act is the one that was stored."""
        digest = stored.removeprefix(VERSION)
        return any(_is_one_of(digest, content, self._keys) for content in self._contents)


def _is_one_of(digest: str, content: Mapping[str, Any], keys: Sequence[SecretStr]) -> bool:
    return any(hmac.compare_digest(digest, _hmac(content, key)) for key in keys)


def _hmac(content: Mapping[str, Any], key: SecretStr) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return hmac.new(key.get_secret_value().encode(), text.encode(), hashlib.sha256).hexdigest()


def _content(body: OrderBody) -> dict[str, Any]:
    card = {"card_number", "cvv"}
    content = body.model_dump(by_alias=True, exclude_unset=True, exclude_none=True, exclude={"payment_details": card})
    content["paymentDetails"]["last4"] = body.payment_details.card_number.get_secret_value()[-4:]
    return content


def _first_content(body: OrderBody) -> dict[str, Any]:
    """What the first release fingerprinted, card number included; it is only in the memory of this request.

    Can go once every key of that release has expired (OMS_IDEMPOTENCY_DAYS).
    """
    content = body.model_dump(exclude_unset=True, exclude={"payment_details": {"cvv"}})
    content["payment_details"]["card_number"] = body.payment_details.card_number.get_secret_value()
    return content
