"""Fingerprints: an HMAC by which the body of an order is recognised when it is sent again with its idempotency key.

Of the card it takes what the order shows anyway: the last four digits, the expiry and the holder's name. An HMAC of the
whole number, kept next to its last four digits, would give the number away to whoever has the key: few are left to try.
A second card of the same holder with the same four digits and expiry counts as the first, under a key that was used.

Only what was sent is taken, by the names on the wire, and null is nothing: a field that a later release adds changes
nothing for a body that lacks it. What is stored begins with the version of all this.
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
    """Of one body. The first of the keys makes what is stored; what any of them made is recognised."""

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
    """That of something done to an order: its name, and all that it was asked with."""
    return ActFingerprint({"act": act, "order": str(order_id), **body.model_dump(exclude_unset=True)}, keys)


class ActFingerprint:
    """Of one act. Never that of an order that is placed, whatever its body.

    A field that says nothing (null, false, an empty text) is as one that is not there: some clients write down each.
    """

    def __init__(self, sent: Mapping[str, Any], keys: Sequence[SecretStr]) -> None:
        said = {name: value for name, value in sent.items() if value}
        # The release before this one took such fields as they were sent, and may have stored the key.
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
    """What the first release made its fingerprints from: with the number, which is in this request's memory only.

    Not needed any more once every key of that release is forgotten (OMS_IDEMPOTENCY_DAYS).
    """
    content = body.model_dump(exclude_unset=True, exclude={"payment_details": {"cvv"}})
    content["payment_details"]["card_number"] = body.payment_details.card_number.get_secret_value()
    return content
