"""Email addresses, in the one form in which orders have them and are found by them."""

import re

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from pydantic_core import PydanticCustomError

from oms_chassis.http import pasted

LONGEST = 200  # characters
_ENCODED = "=?"  # begins what mail programs decode (RFC 2047): the address would be another one, or several

# Nearly every address has this form, and is recognised in a tenth of the time that the library takes for it.
_EVERYDAY = re.compile(
    r"^(?P<local>[a-z0-9]+(?:[._+-][a-z0-9]+)*)@(?:(?=[a-z0-9-]{1,63}\.)[a-z0-9]+(?:-[a-z0-9]+)*\.)+(?P<last>[a-z]{2,24})\Z"
)
_SPECIAL_USE = {name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES}


def checked(value: str) -> str:
    """An address as orders have it. Raises PydanticCustomError, as validators do."""
    everyday = _EVERYDAY.match(value)
    if everyday and everyday["last"] not in _SPECIAL_USE and len(everyday["local"]) <= 64:
        return value
    try:
        normal = "".join(map(_small, validate_email(_alone(value), check_deliverability=False).normalized))
    except EmailNotValidError as error:
        raise PydanticCustomError("bad-email", "must be an email address") from error
    if _ENCODED in normal:
        raise PydanticCustomError("bad-email", "must be an email address without =? in it")
    if len(normal) > LONGEST:  # which may be longer than what was sent: a ligature becomes its letters
        raise PydanticCustomError(
            "bad-email", "must be an email address of at most {most} characters", {"most": LONGEST}
        )
    return normal


def _small(letter: str) -> str:
    """A letter beyond ASCII as a small one, unless that is two: some databases' locales know of no others than ASCII's,
    and an address is found in any case."""
    small = letter.lower()
    return letter if letter.isascii() or len(small) > 1 else small


def _alone(value: str) -> str:
    """An address without what is pasted along with it."""
    return pasted.without_scheme(pasted.trimmed(value), "mailto:")


def looked_for(value: str) -> str:
    """An address from a query, as an order of it has it. Raises PydanticCustomError if its `+` was sent as it is, which
    means a space there: it would be another address, of which there is no order."""
    if " " in pasted.trimmed(value):
        raise PydanticCustomError("bad-email", "must have its + encoded as %2B")
    return as_stored(value)


def as_stored(email: str) -> str:
    """An address as an order of it has it; what is no address, as it is."""
    try:
        return checked(email)
    except PydanticCustomError:
        return email
