"""Finds card numbers that were typed or pasted into a text that is stored.

A number counts if a network issues such numbers, its check digit is right, and it is on its own, in one piece or
grouped as on a card. So phone numbers, dates, times in milliseconds, UUIDs and parts of words do not count.
"""

import re

from pydantic_core import PydanticCustomError

from oms_chassis.http import pasted

SHORTEST = 13  # digits
MESSAGE = "must not hold a card number"
_ALONE = r"(?<![0-9A-Za-z+]){}(?![0-9A-Za-z])"
_GAP = r"(?P<gap> ?[-./_\u00b7 ] ?)"  # what people write between the groups
_WRITTEN = [
    re.compile(_ALONE.format(form))
    for form in (
        r"[0-9]{13,19}",
        rf"[0-9]{{4}}{_GAP}[0-9]{{4}}(?P=gap)[0-9]{{4}}(?P=gap)[0-9]{{4}}",
        rf"[0-9]{{4}}{_GAP}[0-9]{{4}}(?P=gap)[0-9]{{4}}(?P=gap)[0-9]{{4}}(?P=gap)[0-9]{{1,3}}",
        rf"[0-9]{{4}}{_GAP}[0-9]{{6}}(?P=gap)[0-9]{{4,5}}",
    )
]
# By first digits and length. Numbers of thirteen digits that begin with 43 or 49 are left out: phone numbers look like
# that, too.
_ISSUED = re.compile(
    r"4(?![39])[0-9]{12}|4[0-9]{15}|4[0-9]{18}"  # Visa
    r"|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}"  # Mastercard
    r"|3[47][0-9]{13}|3(?:0[0-5]|[689][0-9])[0-9]{11}(?:[0-9]{2})?|35[0-9]{14}"  # American Express, Diners Club, JCB
    r"|(?:50|5[6-9]|6[0-9])[0-9]{14,17}"  # Maestro, Discover, UnionPay
)


def without(text: str) -> str:
    """Return the text if it contains no card number. Raises PydanticCustomError, as validators do."""
    return _without(text, SHORTEST)


def without_in_id(text: str) -> str:
    """Return the id if it contains no card number. Article numbers (GTIN) have up to 14 digits and a check digit of
    their own, so that some look like card numbers of that length: these are allowed. Raises PydanticCustomError."""
    return _without(text, 15)


def _without(text: str, shortest: int) -> str:
    if found_in(text, shortest):
        raise PydanticCustomError("bad-text", MESSAGE)
    return text


def found_in(text: str, shortest: int = SHORTEST) -> bool:
    """Whether a text contains a card number of at least so many digits."""
    if len(text) < shortest:
        return False
    plain = text if text.isascii() else pasted.plain(text)
    return any(_is_one(found[0], shortest) for form in _WRITTEN for found in form.finditer(plain))


def _is_one(written: str, shortest: int) -> bool:
    digits = [int(one) for one in written if one.isdecimal()]
    if len(digits) < shortest:
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return _ISSUED.fullmatch("".join(map(str, digits))) is not None and (sum(doubled) + sum(digits[-1::-2])) % 10 == 0
