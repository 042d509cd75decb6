"""Ids of orders, refunds and events: UUID version 7 (RFC 9562), which sort by the time they were made.

What is inserted now comes next to what was inserted just before: an index of many millions of rows is written at its
end, and not on as many of its pages as there are rows.
"""

import time
from random import getrandbits
from uuid import UUID

_VERSION, _VARIANT = 7 << 76, 2 << 62


def new_id() -> UUID:
    """An id of now. Its twelve bits below the millisecond keep the order of ids that one process makes in a row."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    # An id is no secret: the system's generator lets other threads in at every call, and comes back late.
    return UUID(int=milliseconds << 80 | _VERSION | fraction << 64 | _VARIANT | getrandbits(62))
