"""Waits for servers that start at the same time: a database or a broker that will be up in a moment."""

import time
from collections.abc import Callable
from typing import TypeVar

from oms_chassis.telemetry.logs import logger

log = logger(__name__)
T = TypeVar("T")

START_TIMEOUT = 60.0  # seconds
PAUSE, LONGEST_PAUSE = 0.5, 3.0  # seconds


def until_up(attempt: Callable[[], T], failure: type[Exception], within: float | None = None) -> T:
    """Call `attempt` until it does not fail like that, and return its result. Raises its failure if that lasts for
    `within` seconds (60)."""
    deadline = time.monotonic() + (START_TIMEOUT if within is None else within)
    pause = PAUSE
    while True:
        try:
            return attempt()
        except failure as error:
            left = deadline - time.monotonic()
            if left <= 0:
                raise
            log.info("waiting", error=type(error.__cause__ or error).__name__, seconds_left=round(left))
            time.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_PAUSE)
