"""Order ids: UUID version 7 (RFC 9562). They sort by the time they were made: the newest are next to each other."""

import time
from datetime import datetime
from random import getrandbits
from uuid import UUID

SLACK = 1.0  # seconds
_VERSION, _VARIANT = 7 << 76, 2 << 62


def new_id() -> UUID:
    """An id of now. Its twelve bits below the millisecond keep the order of ids that one process makes in a row."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    # An id is no secret: the system's generator lets other threads in at every call, and comes back late.
    return UUID(int=milliseconds << 80 | _VERSION | fraction << 64 | _VARIANT | getrandbits(62))


def first_id(since: datetime) -> UUID:
    """An id that no order of this moment, or a later one, is below: its id is made just before its time is taken."""
    milliseconds = int((since.timestamp() - SLACK) * 1000)
    return UUID(int=max(milliseconds, 0) << 80 & (1 << 128) - 1)


def age(order_id: str) -> float:
    """Seconds since the order was accepted, as its id has it; never negative, whatever the clocks of two pods say."""
    return max(0.0, time.time() - (UUID(order_id).int >> 80) / 1000)


def parse(text: str) -> UUID | None:
    """The id that a text spells in its usual form, if it does."""
    try:
        parsed = UUID(text)
    except ValueError:
        return None
    return parsed if str(parsed) == text else None
