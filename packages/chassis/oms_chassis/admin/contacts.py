"""A customer's address or number where none belongs: in what is kept for good.

Long numbers are no phone numbers if they are part of a word (`INC0012345`), of an id or of a date, or have a `#` before
them.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from oms_chassis.http import cardnumbers, pasted

MASK = "***"
MESSAGE = "is kept for good: it must hold no address and no phone number of a customer"
_IDS_AND_DATES = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|\b[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?"
    r"|\b[0-9]{1,2}([./])[0-9]{1,2}\1[0-9]{2,4}\b"
)
_FURTHER = r"(?:[ ().\-/]{0,3}[0-9]){6,14}(?![0-9A-Za-z])"
_INTERNATIONAL = re.compile(r"\+[ (]{0,2}[0-9]" + _FURTHER)
_BARE = re.compile(r"[0-9]{7,15}\Z")
_ANY = re.compile(r"(?<![0-9A-Za-z#])(?<![A-Za-z][-_])[0-9]" + _FURTHER)


def found_in(text: str) -> bool:
    """Whether there is an address, or what may be a phone number, in a text that somebody wrote."""
    return is_certain(text) or _ANY.search(_IDS_AND_DATES.sub("-", pasted.plain(text))) is not None


def is_certain(text: str) -> bool:
    """Whether there is an address, or a phone number with its country, in a text that may be an id or a reference."""
    plain = pasted.plain(text)
    return "@" in plain or _INTERNATIONAL.search(plain) is not None


def without(value: Any) -> Any:
    """States and ids as they can be kept. The key of a message from elsewhere, or what somebody took for an order's id,
    may be anything."""
    if isinstance(value, Mapping):
        return {name: without(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [without(one) for one in value]
    if not isinstance(value, str):
        return value
    return MASK if is_certain(value) or _BARE.match(pasted.plain(value)) or cardnumbers.found_in(value) else value


# A record's key as it is shown: it should be an id, and may be anything.
MaskedKey = Annotated[str | None, AfterValidator(without)]
