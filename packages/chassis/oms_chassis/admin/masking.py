"""What operators see of what a message or a job carries: ids, states and amounts; a customer's data only on demand,
and a card's never."""

import json
import re
from collections.abc import Mapping
from typing import Any

MASK, NEVER = "***", "(hidden)"
_PLAIN = frozenset(
    {
        *("currency", "dataschema", "datacontenttype", "id", "itemId", "kind", "orderId", "paymentId", "placedAt"),
        *("reason", "refundId", "source", "specversion", "state", "subject", "time", "traceparent", "type"),
    }
)
_CARD = frozenset(["brand", "card", "cardNumber", "cvv", "expiry", "last4", "number", "pan", "token"])
_DIGITS = re.compile(r"\d(?:[ -]?\d){6,}")


def shown(value: bytes | None, *, reveal: bool) -> Any:
    """What a record holds: its JSON, masked; what is no JSON only if it is to be revealed, without long numbers."""
    if value is None:
        return None
    try:
        return masked(json.loads(value), reveal=reveal)
    except ValueError:
        text = _DIGITS.sub(MASK, value.decode("utf-8", "replace"))
        return text if reveal else f"{len(value)} bytes that are no JSON"


def masked(value: Any, *, reveal: bool, name: str = "") -> Any:
    """A JSON value without what is a customer's (unless that is to be revealed) or a card's."""
    if name in _CARD:
        return NEVER
    if isinstance(value, Mapping):
        return {key: masked(one, reveal=reveal, name=key) for key, one in value.items()}
    if isinstance(value, list):
        return [masked(one, reveal=reveal, name=name) for one in value]
    return value if reveal or name in _PLAIN or not isinstance(value, str) else MASK


def header(name: str, value: bytes | None, *, reveal: bool) -> str | None:
    """A header of a record: those that a dead letter adds, and the trace's; others only if they are to be revealed."""
    if value is None:
        return None
    is_plain = name.startswith("oms-") or name in {"traceparent", "content-type"}
    return _DIGITS.sub(MASK, value.decode("utf-8", "replace")) if reveal and not is_plain else _plain(value, is_plain)


def _plain(value: bytes, is_plain: bool) -> str:
    return value.decode("utf-8", "replace") if is_plain else MASK
