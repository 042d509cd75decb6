"""API keys: `oms_`, a public id, and 256 random bits. Only the SHA-256 of a key is stored.

A key is as random as its hash is long, so a slow hash with a salt would add nothing except time to each request.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass

PREFIX = "oms_"  # lets scanners recognise leaked keys
_SHAPE = re.compile(r"oms_[a-z0-9]{10}_[A-Za-z0-9_-]{43}\Z")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A new key. Its `text` is not stored, and cannot be recovered."""

    id: str
    text: str

    @property
    def digest(self) -> str:
        """The hash that is stored."""
        return digest(self.text)


def new() -> NewKey:
    """Generate a key."""
    key_id = "".join(secrets.choice(_ALPHABET) for _ in range(10))
    return NewKey(key_id, f"{PREFIX}{key_id}_{secrets.token_urlsafe(32)}")


def is_key(text: str) -> bool:
    """Whether a text has the form of an API key."""
    return _SHAPE.match(text) is not None


def digest(text: str) -> str:
    """Return the SHA-256 of a key in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
