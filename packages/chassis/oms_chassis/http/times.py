"""Parses times in URLs and request bodies."""

import re
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from oms_contracts.scalars import showable

LONGEST = 64  # characters: the pattern would take seconds on a text of 30,000
_PLUS_LOST = re.compile(r"T\S+ \d\d(:?\d\d)?$")
_DATE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")


def as_written(value: object) -> object:
    """Return the value unless it is a number, which Pydantic would guess to be seconds or milliseconds, or the `+` of
    its offset was not encoded, and became a space."""
    is_none = isinstance(value, str) and (len(value) > LONGEST or not _DATE.match(value))
    if isinstance(value, int | float) or is_none:
        raise PydanticCustomError("bad-time", "must be a date and a time with an offset, such as 2026-01-31T08:00:00Z")
    if isinstance(value, str) and _PLUS_LOST.search(value):
        raise PydanticCustomError("bad-time", "must have the + of its offset encoded as %2B")
    return value


Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(as_written), AfterValidator(showable)]
