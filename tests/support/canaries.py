"""Card numbers and cvvs that occur nowhere else, and the ways in which they can be sent.

All numbers of a run begin with the same ten random digits, which are searched for in every form in which a program
might write them, in case only a part of a number is stored. A cvv has four digits and begins with 0, unlike numbers
that a program prints; if it need not be valid, it is a long text. Raw files contain four such digits by chance, so
there a cvv counts only in quotes, or near the name of its field.
"""

import base64
import json
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx2

from support.orders import APPROVED, DECLINED, body

OUR_CARDS = (APPROVED, DECLINED, "5555555555554444", "378282246310005")
LONG = "cvvcanary"


def _digits(count: int) -> str:
    # Without zeros, a grouped number cannot be a date, or part of a padded number.
    return "".join(secrets.choice("123456789") for _ in range(count))


@dataclass(frozen=True)
class Mark:
    """Ten digits to search for."""

    digits: str = field(default_factory=lambda: _digits(10))

    def is_in(self, content: bytes) -> bool:
        """Whether the content has the digits: plain, grouped, in hexadecimal, in UTF-16 or in base64."""
        return any(form in content for form in self.forms)

    @cached_property
    def forms(self) -> list[bytes]:
        plain = self.digits.encode()
        grouped = [plain[:4] + gap + plain[4:8] + gap + plain[8:] for gap in (b" ", b"-")]
        # Base64 differs at each of three offsets; characters that depend on neighbouring bytes are cut off.
        encoded = [base64.b64encode(b"\0" * shift + plain)[4 if shift else 0 : 12] for shift in range(3)]
        return [plain, *grouped, plain.hex().encode(), self.digits.encode("utf-16-le"), *encoded]


RUN = Mark()
Shape = Callable[[httpx2.Client, str, str], httpx2.Request]


@dataclass(frozen=True)
class Canary:
    """One request with a card in it."""

    shape: Shape
    number: str
    cvv: str
    own_number: bool

    def request(self, client: httpx2.Client) -> httpx2.Request:
        return self.shape(client, self.number, self.cvv)


def canary(count: int) -> Canary:
    """Return the nth canary; they take turns in how the card is sent."""
    shape, kind = SHAPES[count % len(SHAPES)]
    cvv = f"{LONG}{secrets.token_hex(6)}" if kind == "long cvv" else _cvv(count)
    if kind == "test card":
        return Canary(shape, OUR_CARDS[count % len(OUR_CARDS)], cvv, own_number=False)
    return Canary(shape, RUN.digits + f"{count:06}", cvv, own_number=True)


def _cvv(count: int) -> str:
    return f"0{100 + count}"


def found(content: bytes, posted: Sequence[Canary]) -> Iterator[str]:
    """Yield which of these canaries are in a content, without their digits, which a failing test must not show."""
    for mark in (RUN, *(Mark(number[:10]) for number in OUR_CARDS)):
        if mark.is_in(content):
            yield "a card number"
    if LONG.encode() in content:
        yield "a long cvv"
    short = {one.cvv.encode() for one in posted if not one.cvv.startswith(LONG)}
    if any(match[1] in short for match in re.finditer(rb'"(0[0-9]{3})"', content)):
        yield "a cvv in quotes"
    if any(match[1] in short for near in _near_the_name(content) for match in _FOUR_DIGITS.finditer(near)):
        yield "a cvv near its name"


def found_in_text(content: bytes, posted: Sequence[Canary]) -> Iterator[str]:
    """Do the same for texts, in which a cvv also counts without quotes or the name of its field."""
    yield from found(content, posted)
    short = {one.cvv.encode() for one in posted}
    if any(match[1] in short for match in _ALONE.finditer(content)):
        yield "a cvv alone"


_FOUR_DIGITS = re.compile(rb"(?<![0-9])(0[0-9]{3})(?![0-9])")
_ALONE = re.compile(rb"(?<![0-9A-Za-z.:+-])(0[0-9]{3})(?![0-9A-Za-z.:-])")


def _near_the_name(content: bytes) -> Iterator[bytes]:
    for name in (b"cvv", b"cvc", b"Cvv", b"Cvc", b"CVV", b"CVC", b"securityCode"):
        at = content.find(name)
        while at >= 0:
            yield content[at : at + 48]
            at = content.find(name, at + 1)


def _post(client: httpx2.Client, content: Any, path: str = "/order", **more: Any) -> httpx2.Request:
    raw = content if isinstance(content, str | bytes) else json.dumps(content)
    headers = {"Content-Type": "application/json", **more.pop("headers", {})}
    return client.build_request(more.pop("method", "POST"), path, content=raw, headers=headers, **more)


def _with_payment(number: str, cvv: str, /, **more: Any) -> dict[str, Any]:
    order = body(card=number, cvv=cvv)
    return {**order, "paymentDetails": {**order["paymentDetails"], **more}}


def _plain(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    return _post(client, _with_payment(number, cvv))


def _spaced(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    return _post(client, _with_payment(" ".join(re.findall(".{1,4}", number)), cvv))


def _dashed(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    return _post(client, _with_payment("-".join(re.findall(".{1,4}", number)), cvv))


def _cut_off(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    return _post(client, json.dumps(_with_payment(number, cvv))[:-1])


def _not_utf8(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    return _post(client, json.dumps(_with_payment(number, cvv)).encode() + b"\xff")


def _as_numbers(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    return _post(client, _with_payment(number, cvv, cardNumber=int(number), cvv=int(cvv)))


def _unknown_fields(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    return _post(client, _with_payment(number, cvv, pan=number, securityCode=cvv))


def _as_field_names(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    return _post(client, _with_payment(number, cvv, **{number: cvv, cvv: number}))


def _swapped(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    return _post(client, _with_payment(cvv, number))


def _as_expiry(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    return _post(client, _with_payment(number, cvv, expiryDate=f"{number} {cvv}"))


def _as_quantity(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    return _post(client, {**_with_payment(number, cvv), "items": [{"id": number, "quantity": int(number)}]})


def _as_contact(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    customer = {"name": "Anjana", "email": f"{number} {cvv}", "phoneNumber": f"{number}{cvv}"}
    return _post(client, {**_with_payment(number, cvv), "customer": customer})


def _as_payment(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    return _post(client, {**body(), "paymentDetails": f"{number} {cvv}"})


def _as_body(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    return _post(client, [number, cvv])


def _oversize(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    return _post(client, {**_with_payment(number, cvv), "notes": f"{number} {cvv} " * 4000})


def _as_form(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    return client.build_request("POST", "/order", data={"cardNumber": number, "cvv": cvv})


def _as_query(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    return _post(client, _with_payment(number, cvv), params={"cardNumber": number, "cvv": cvv})


def _as_key(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    return _post(client, _with_payment(number, cvv), headers={"Idempotency-Key": f"{number} {cvv}"})


def _elsewhere(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    return _post(client, _with_payment(number, cvv), path=f"/orders/{number}/{cvv}")


def _as_id(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    return client.build_request("GET", f"/order/{number}-{cvv}")


def _as_filter(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    return client.build_request("GET", "/order", params={"status": number, "cursor": number, "since": cvv})


def _other_method(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    return _post(client, _with_payment(number, cvv), method="PUT")


def _unknown_item(client: httpx2.Client, number: str, cvv: str) -> httpx2.Request:
    return _post(client, {**_with_payment(number, cvv), "items": [{"id": "NoSuchItem", "quantity": 1}]})


# Each with what it needs: a number of its own, a test card (with which an order is accepted), or a long cvv.
SHAPES: Sequence[tuple[Shape, str]] = (
    (_plain, "number"),
    (_plain, "test card"),
    (_plain, "long cvv"),
    (_spaced, "number"),
    (_spaced, "test card"),
    (_dashed, "number"),
    (_dashed, "test card"),
    (_cut_off, "number"),
    (_not_utf8, "number"),
    (_as_numbers, "number"),
    (_unknown_fields, "number"),
    (_unknown_fields, "long cvv"),
    (_as_field_names, "number"),
    (_as_field_names, "long cvv"),
    (_swapped, "number"),
    (_as_expiry, "number"),
    (_as_quantity, "number"),
    (_as_contact, "number"),
    (_as_payment, "long cvv"),
    (_as_body, "long cvv"),
    (_oversize, "number"),
    (_as_form, "number"),
    (_as_query, "number"),
    (_as_query, "test card"),
    (_as_key, "number"),
    (_elsewhere, "number"),
    (_as_id, "number"),
    (_as_filter, "number"),
    (_other_method, "number"),
    (_unknown_item, "test card"),
)
