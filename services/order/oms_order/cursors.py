"""Cursors for lists of orders. A cursor is valid only for the caller to whom it was given."""

import hashlib
from uuid import UUID

from oms_chassis.http import pages
from oms_chassis.http.identity.callers import Caller

_MARK = 4  # bytes: enough to detect mistakes; access control does not depend on it


def encode(order_id: UUID, caller: Caller) -> str:
    """The cursor of the page that starts after this order."""
    return pages.encode(order_id.bytes + _mark(caller))


def decode(cursor: str, caller: Caller) -> UUID:
    """The order after which the cursor's page starts. Raises BadCursor."""

    def parse(position: bytes) -> UUID:
        if position[16:] != _mark(caller):
            raise ValueError
        return UUID(bytes=position[:16])

    return pages.decode(cursor, parse)


def _mark(caller: Caller) -> bytes:
    return hashlib.sha256(caller.namespace.encode()).digest()[:_MARK] if caller.subject is not None else b""
