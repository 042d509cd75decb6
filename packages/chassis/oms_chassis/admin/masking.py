"""Masks the contents of messages and jobs for operators. Ids, states and amounts are shown, customers' data only on
demand, and card data never.

The content may be anything, because records that are not our events become dead letters, too; whatever it is, it can be
shown.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from oms_chassis.admin import contacts
from oms_chassis.admin.contacts import MASK
from oms_chassis.http import cardnumbers

NEVER, DEEPER = "(hidden)", "(deeper)"
DEEPEST = 40  # levels of JSON that are shown
_PLAIN = frozenset(
    {
        *("currency", "dataschema", "datacontenttype", "id", "itemId", "kind", "orderId", "paymentId", "placedAt"),
        *("reason", "refundId", "source", "specversion", "state", "subject", "time", "traceparent", "type"),
    }
)
_CARD = frozenset(["brand", "card", "cardNumber", "cvv", "expiry", "last4", "number", "pan", "token"])
_NUMBERS = frozenset(["amount", "available", "quantity", "requested", "total", "unitPrice", "version"])
# Headers with numbers that a dead letter adds: these are long, but nobody's.
_COUNTS = frozenset(["oms-partition", "oms-offset", "oms-original-key-size", "oms-original-value-size"])
_DIGITS = re.compile(r"\d(?:[ -]?\d){6,}")
_LONG = 7  # a number with so many digits may be a customer's
# An id, a code, a time or a URL: no email address, no phone number, no words.
_CODE = re.compile(r"(?!\+?[0-9]{7,}\Z)[A-Za-z0-9/][A-Za-z0-9._:/+#-]*\Z")
_NAME = re.compile(r"[A-Za-z_][A-Za-z_]*[0-9]{0,6}\Z")


def shown(value: bytes | None, *, reveal: bool) -> Any:
    """Return the JSON of a record, masked. Other content is shown only on demand, and without long numbers."""
    if value is None:
        return None
    try:
        return masked(json.loads(value, parse_constant=str), reveal=reveal)
    except (ValueError, RecursionError):
        return _revealed(value) if reveal else f"{len(value)} bytes that are no JSON"


def key(value: str | None, *, reveal: bool) -> str | None:
    """Return the key of a record or the name of a header, masked: it may be anything."""
    return value and (_text(value, is_plain=True) if reveal else contacts.without(value))


def masked(value: Any, *, reveal: bool, name: str = "", level: int = 0) -> Any:
    """Return a JSON value without card data, and without customers' data unless it is to be revealed."""
    if name in _CARD:
        return NEVER
    if level > DEEPEST:
        return DEEPER
    if isinstance(value, Mapping):
        return {
            _name(key, reveal=reveal): masked(one, reveal=reveal, name=key, level=level + 1)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [masked(one, reveal=reveal, name=name, level=level + 1) for one in value]
    if isinstance(value, str):
        return _text(value, is_plain=reveal or (name in _PLAIN and _CODE.match(value) is not None))
    return _number(value, is_plain=reveal or name in _NUMBERS)


def _name(key: str, *, reveal: bool) -> str:
    """Return a field's name, masked if it does not look like one."""
    return _text(key, is_plain=reveal or _NAME.match(key) is not None)


def _text(text: str, *, is_plain: bool) -> str:
    if not is_plain:
        return MASK
    sent = text.encode("utf-8", "replace").decode()  # JSON can contain half a surrogate pair, which cannot be sent
    return NEVER if cardnumbers.found_in(sent) else sent


def _number(value: Any, *, is_plain: bool) -> Any:
    """Return a number, true, false or null, masked if need be."""
    written = str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return written
    if is_plain or len(written) < _LONG:
        return NEVER if cardnumbers.found_in(written) else value
    return MASK


def header(name: str, value: bytes | None, *, reveal: bool) -> str | None:
    """Return a header of a record, masked: headers of dead letters and of the trace without customers' data, others
    only on demand."""
    if value is None:
        return None
    if not name.startswith("oms-") and name not in {"traceparent", "content-type"}:
        return _revealed(value) if reveal else MASK
    text = value.decode("utf-8", "replace")
    is_count = name in _COUNTS and text.isdecimal()
    return key(text, reveal=reveal or is_count)


def _revealed(value: bytes) -> str:
    """Return content other than JSON, without long numbers."""
    return _text(_DIGITS.sub(MASK, value.decode("utf-8", "replace")), is_plain=True)
