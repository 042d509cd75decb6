"""Parses the headers of conditional requests (RFC 9110, 13), which name the state of a resource. The routes that make
these tags compare them."""

import re
from dataclasses import dataclass
from typing import Self

# The syntax of If-Match and If-None-Match: `*`, or tags. A list may have empty elements (RFC 9110, 5.6.1).
FORM = r'^(\*|(,[ \t]*)*(W/)?"[!#-~]*"([ \t]*,([ \t]*(W/)?"[!#-~]*")?)*)$'
_TAG = re.compile(r'(W/)?"([!#-~]*)"')


@dataclass(frozen=True)
class Tags:
    """The tags in such a header. `is_any`: any existing state. `strong`: tags of states that are the same byte for
    byte, on which a change may be conditional. `all` includes the weak ones."""

    is_any: bool
    strong: frozenset[str]
    all: frozenset[str]

    @classmethod
    def of(cls, header: str | None) -> Self | None:
        """Return the tags of a header, if there is one."""
        if header is None:
            return None
        found = _TAG.findall(header)
        return cls(header == "*", frozenset(tag for weak, tag in found if not weak), frozenset(tag for _, tag in found))
