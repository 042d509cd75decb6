"""Conditional requests (RFC 9110, 13): a request says which state of a thing it means. Whoever makes the tags of these
states compares them."""

import re
from dataclasses import dataclass
from typing import Self

# What If-Match and If-None-Match hold: `*`, or tags. A list may have empty places (RFC 9110, 5.6.1).
FORM = r'^(\*|(,[ \t]*)*(W/)?"[!#-~]*"([ \t]*,([ \t]*(W/)?"[!#-~]*")?)*)$'
_TAG = re.compile(r'(W/)?"([!#-~]*)"')


@dataclass(frozen=True)
class Tags:
    """What such a header names: any state that there is, or states by their tags. `strong` are those that are the same
    bytes, and that a change may go by; `all` has the weak ones, too."""

    is_any: bool
    strong: frozenset[str]
    all: frozenset[str]

    @classmethod
    def of(cls, header: str | None) -> Self | None:
        """Those of a header of this form, if there is one."""
        if header is None:
            return None
        found = _TAG.findall(header)
        return cls(header == "*", frozenset(tag for weak, tag in found if not weak), frozenset(tag for _, tag in found))
