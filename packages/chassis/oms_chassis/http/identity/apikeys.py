"""API keys: `oms_`, a public id, and 256 random bits. What is stored of one is its SHA-256.

A key is as random as its hash is long, so that a slow hash with a salt would add nothing but time to each request.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass

PREFIX = "oms_"  # by which scanners for leaked secrets find one
_SHAPE = re.compile(r"oms_[a-z0-9]{10}_[A-Za-z0-9_-]{43}\Z")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was made just now; nobody can find its `text` again."""

    id: str
    text: str

    @property
    def digest(self) -> str:
        """What is stored."""
        return digest(self.text)


def new() -> NewKey:
    """A new key."""
    key_id = "".join(secrets.choice(_ALPHABET) for _ in range(10))
    return NewKey(key_id, f"{PREFIX}{key_id}_{secrets.token_urlsafe(32)}")


def is_key(text: str) -> bool:
    """Whether a text has the form of a key."""
    return _SHAPE.match(text) is not None


def digest(text: str) -> str:
    """The SHA-256 of a key, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()
