"""Finds customers' addresses and phone numbers in texts that are kept for good.

A long number is not a phone number if it is part of a word (`INC0012345`), an id or a date, or follows a `#`.
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
    """Whether a text that somebody wrote contains an address, or what may be a phone number."""
    return is_certain(text) or _ANY.search(_IDS_AND_DATES.sub("-", pasted.plain(text))) is not None


def is_certain(text: str) -> bool:
    """Whether a text that may be an id or a reference contains an address, or a phone number with a country code."""
    plain = pasted.plain(text)
    return "@" in plain or _INTERNATIONAL.search(plain) is not None


def without(value: Any) -> Any:
    """Return states and ids with customers' data masked: the key of a foreign message, or what somebody took for an
    order's id, may be anything."""
    if isinstance(value, Mapping):
        return {name: without(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [without(one) for one in value]
    if not isinstance(value, str):
        return value
    return MASK if is_certain(value) or _BARE.match(pasted.plain(value)) or cardnumbers.found_in(value) else value


# The key of a record, for display: it should be an id, but may be anything.
MaskedKey = Annotated[str | None, AfterValidator(without)]
