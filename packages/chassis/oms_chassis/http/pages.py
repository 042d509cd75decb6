"""Pages of a list: an opaque cursor names the element after which the next page starts, and a Link header contains
it."""

import base64
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeVar
from urllib.parse import urlencode

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from oms_chassis.http.problems import Problem

T = TypeVar("T")
LARGEST = 2**63  # more than any id of a row
_DIGITS = re.compile(r"(?:0|[1-9][0-9]*)\Z")


def _as_digits(value: object) -> object:
    if isinstance(value, str) and not _DIGITS.match(value):
        raise PydanticCustomError("bad-number", "must be a whole number in plain digits")
    return value


# Restricts a number in a URL to plain digits: Pydantic would read 1_0 and 10.0 as ten. Annotates an int, after its
# Query.
DIGITS = BeforeValidator(_as_digits)


class BadCursor(Problem):
    """A cursor comes from the Link header of a page of the same list."""

    status, kind, title = 422, "bad-cursor", "The cursor is not one of this list"


def encode(position: bytes) -> str:
    """Return a cursor that continues after the element at this position."""
    return base64.urlsafe_b64encode(position).decode().rstrip("=")


def decode(cursor: str, parse: Callable[[bytes], T]) -> T:
    """Return the position after which a cursor continues. Raises BadCursor, also if `parse` raises ValueError."""
    with suppress(ValueError):
        position = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        if encode(position) == cursor:  # Python ignores characters that are not in the alphabet
            return parse(position)
    raise BadCursor(("cursor", "must come from a Link header of this list"))


def text(position: bytes) -> str:
    """Return a position as text. Raises ValueError for what no database can store."""
    if b"\0" in position:
        raise ValueError
    return position.decode()


def number(position: bytes) -> int:
    """Return a position as the id of a row. Raises ValueError if it is none."""
    value = int(position)
    if not 0 <= value < LARGEST or str(value).encode() != position:
        raise ValueError
    return value


def next_link(path: str, query: Mapping[str, object | None], cursor: str) -> str:
    """Return the Link header (RFC 8288) to the page at this cursor, with all other query parameters that are not
    None."""
    given = {name: value for name, value in query.items() if value is not None}
    return f'<{path}?{urlencode({**given, "cursor": cursor})}>; rel="next"'
