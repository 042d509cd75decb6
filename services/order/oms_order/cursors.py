"""Cursors of a list of orders: where its next page starts, for the caller who got it, and for nobody else."""

import hashlib
from uuid import UUID

from oms_chassis.http import pages
from oms_chassis.http.identity.callers import Caller

_MARK = 4  # bytes: a mistake is found; what a caller may see does not depend on it


def encode(order_id: UUID, caller: Caller) -> str:
    """The cursor that goes on after an order."""
    return pages.encode(order_id.bytes + _mark(caller))


def decode(cursor: str, caller: Caller) -> UUID:
    """The order after which a cursor goes on. Raises BadCursor."""

    def parse(position: bytes) -> UUID:
        if position[16:] != _mark(caller):
            raise ValueError
        return UUID(bytes=position[:16])

    return pages.decode(cursor, parse)


def _mark(caller: Caller) -> bytes:
    return hashlib.sha256(caller.namespace.encode()).digest()[:_MARK] if caller.subject is not None else b""
