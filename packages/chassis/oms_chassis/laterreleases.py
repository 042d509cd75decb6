"""Values written by a later release: they are read and shown as they are, but nothing is decided by them here.

While two releases run at the same time, and after a rollback, rows and jobs hold values that the older release does not
know. So a release writes only known values (an enum, a CHECK), but reads any.
"""

from enum import StrEnum
from typing import TypeVar

from pydantic import WithJsonSchema

Kind = TypeVar("Kind", bound=StrEnum)


class OfLaterRelease(Exception):
    """A row has a value that only a later release knows, so that this release cannot process it."""


def known(kind: type[Kind], value: str) -> Kind | str:
    """Return the member with this value; the value itself if this release has none."""
    try:
        return kind(value)
    except ValueError:
        return value


def extensible(kind: type[StrEnum] | tuple[str, ...]) -> WithJsonSchema:
    """Return the JSON Schema of such a value in an answer: today's values, as an enum that clients must expect to
    grow."""
    return WithJsonSchema({"type": "string", "x-extensible-enum": [str(value) for value in kind]})
