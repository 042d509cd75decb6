"""Quotas: a number of requests in a number of seconds, written `100/60`."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

_SHAPE = re.compile(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,8})\Z")


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `count` in `seconds`."""

    count: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `100/60`. Raises ValueError, which does not repeat the text."""
        found = _SHAPE.match(text)
        if found is None:
            raise ValueError("must be a number and seconds, as in 100/60")
        return cls(int(found[1]), int(found[2]))


def optional(value: Any) -> Any:
    """Return a setting's text as a quota; None if it is empty."""
    return (Quota.parse(value) if value else None) if isinstance(value, str) else value


OptionalQuota = Annotated[Quota | None, NoDecode, BeforeValidator(optional)]
