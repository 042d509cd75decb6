"""Email addresses, in the one form in which orders store them and are found by them."""

import re

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from pydantic_core import PydanticCustomError

from oms_chassis.http import pasted

LONGEST = 200  # characters
_ENCODED = "=?"  # begins an encoded word (RFC 2047), which mail programs decode into another address

# Nearly every address has this form, and matching it takes a tenth of the time that the library needs.
_EVERYDAY = re.compile(
    r"^(?P<local>[a-z0-9]+(?:[._+-][a-z0-9]+)*)@(?:(?=[a-z0-9-]{1,63}\.)[a-z0-9]+(?:-[a-z0-9]+)*\.)+(?P<last>[a-z]{2,24})\Z"
)
_SPECIAL_USE = {name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES}


def checked(value: str) -> str:
    """Return an address in the form that orders store. Raises PydanticCustomError, as validators do."""
    everyday = _EVERYDAY.match(value)
    if everyday and everyday["last"] not in _SPECIAL_USE and len(everyday["local"]) <= 64:
        return value
    try:
        normal = "".join(map(_small, validate_email(_alone(value), check_deliverability=False).normalized))
    except EmailNotValidError as error:
        raise PydanticCustomError("bad-email", "must be an email address") from error
    if _ENCODED in normal:
        raise PydanticCustomError("bad-email", "must be an email address without =? in it")
    if len(normal) > LONGEST:  # it may be longer than the address that was sent: a ligature becomes its letters
        raise PydanticCustomError(
            "bad-email", "must be an email address of at most {most} characters", {"most": LONGEST}
        )
    return normal


def _small(letter: str) -> str:
    """Return a letter in lower case, unless that is two letters. Addresses are compared in any case, and the locales of
    some databases only convert ASCII letters."""
    small = letter.lower()
    return letter if letter.isascii() or len(small) > 1 else small


def _alone(value: str) -> str:
    """Return an address without the characters that are often pasted along with it."""
    return pasted.without_scheme(pasted.trimmed(value), "mailto:")


def looked_for(value: str) -> str:
    """Return an address from a query in the form that orders store. Raises PydanticCustomError if its `+` was not
    encoded: in a query that means a space, so the address would be another one, which no order has."""
    if " " in pasted.trimmed(value):
        raise PydanticCustomError("bad-email", "must have its + encoded as %2B")
    return as_stored(value)


def as_stored(email: str) -> str:
    """Return an address in the form that orders store, or the text itself if it is not an address."""
    try:
        return checked(email)
    except PydanticCustomError:
        return email
