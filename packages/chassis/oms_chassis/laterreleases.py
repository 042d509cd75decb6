"""Values that a later release has written: read as they are, shown as they are, and decided on by nobody here.

While two releases run at the same time, and after a rollback, rows and jobs have values that the older of them does
not know. What a release writes is closed (an enum, a CHECK); what it reads is open.
"""

from enum import StrEnum
from typing import TypeVar

from pydantic import WithJsonSchema

Kind = TypeVar("Kind", bound=StrEnum)


class OfLaterRelease(Exception):
    """What follows from a row is for a later release to decide: it has a value that this one does not know."""


def known(kind: type[Kind], value: str) -> Kind | str:
    """The member with this value; the value itself if this release has none."""
    try:
        return kind(value)
    except ValueError:
        return value


def extensible(kind: type[StrEnum] | tuple[str, ...]) -> WithJsonSchema:
    """The schema of a value that is answered: those that there are today, for readers that let others pass, too."""
    return WithJsonSchema({"type": "string", "x-extensible-enum": [str(value) for value in kind]})
