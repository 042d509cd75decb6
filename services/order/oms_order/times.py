"""Times in addresses."""

import re

from pydantic_core import PydanticCustomError

_PLUS_LOST = re.compile(r"T\S+ \d\d(:?\d\d)?$")


def with_plus(value: object) -> object:
    """The value, unless the `+` of its offset was sent as it is, which means a space there; that is a mistake."""
    if isinstance(value, str) and _PLUS_LOST.search(value):
        raise PydanticCustomError("bad-time", "must have the + of its offset encoded as %2B")
    return value
