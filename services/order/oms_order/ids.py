"""Reads order ids, which `oms_contracts.ids` makes: the time that an id contains, and which texts are ids."""

import time
from datetime import datetime
from uuid import UUID

SLACK = 1.0  # seconds


def first_id(since: datetime) -> UUID:
    """Return an id that is not above that of any order placed at this moment or later. There is some slack, because an
    order's id is made just before its time is taken."""
    milliseconds = int((since.timestamp() - SLACK) * 1000)
    return UUID(int=max(milliseconds, 0) << 80 & (1 << 128) - 1)


def age(order_id: str) -> float:
    """Return the seconds since the order was accepted, according to its id. Never negative, even if clocks differ."""
    return max(0.0, time.time() - (UUID(order_id).int >> 80) / 1000)


def parse(text: str) -> UUID | None:
    """Return the id that a text contains in its usual form, or None."""
    try:
        parsed = UUID(text)
    except ValueError:
        return None
    return parsed if str(parsed) == text else None
