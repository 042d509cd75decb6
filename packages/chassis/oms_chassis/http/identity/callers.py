"""Callers: who sent a request, and what they may do."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from oms_chassis.http.identity.problems import ScopeMissing

OPERATOR = "operator"  # the scope for seeing what belongs to others
CALLER = "oms.caller"  # the key of the caller in an ASGI scope
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:|-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request. `subject` is None for a sender without credentials; `until` is when the credentials
    expire."""

    subject: str | None
    scopes: frozenset[str]
    until: float | None = None
    is_trusted: bool = False  # if callers need not authenticate: everybody may do everything

    def may(self, scope: str) -> bool:
        """Whether the caller has a scope."""
        return self.is_trusted or scope in self.scopes

    def check(self, scopes: Iterable[str]) -> None:
        """Raise ScopeMissing if one of these is missing."""
        missing = [scope for scope in scopes if not self.may(scope)]
        if missing:
            raise ScopeMissing(missing)

    @property
    def owner(self) -> str | None:
        """The subject whose data the caller may see; None for everybody's."""
        return None if self.may(OPERATOR) else self.subject or ""

    @property
    def namespace(self) -> str:
        """A prefix that keeps this caller's names (idempotency keys, cursors) apart from those of all others."""
        return "anonymous" if self.subject is None else f"caller:{self.subject}"

    @property
    def shown(self) -> str:
        """The subject for logs, hashed if it might be an address, a number or a private text."""
        subject = self.subject or "anonymous"
        if _PLAIN.match(subject) and not re.search(r"[0-9]{7}", subject):
            return subject
        return f"sha256:{hashlib.sha256(subject.encode()).hexdigest()[:16]}"


ANYBODY = Caller(None, frozenset(), is_trusted=True)
NOBODY = Caller(None, frozenset())
