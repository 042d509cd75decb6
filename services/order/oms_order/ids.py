"""What an order's id says of its time (`oms_contracts.ids` makes it), and which texts are ids."""

import time
from datetime import datetime
from uuid import UUID

SLACK = 1.0  # seconds


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
