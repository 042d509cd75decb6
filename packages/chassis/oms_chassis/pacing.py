"""Adaptive batching: how long a loop over batches waits for its next batch to grow.

A small batch costs nearly as much as a large one: a transaction, a request to the broker, a commit. So a loop waits in
proportion to the time that a batch took. On a busy machine batches take longer, so they grow and cost less per event:
the loops make room for one another by themselves. A loop with little to do does not wait: nothing would gather.
"""

import time
from collections.abc import Callable

REMIND = 60.0  # seconds between two log lines about the same thing
PAUSE_FACTOR = 4.0  # times the duration of the batch
SHORTEST, LONGEST = 0.05, 0.2  # seconds
UNPACED, BURST = 0.05, 0.5  # the share of its time that a loop may work without pauses, and seconds of it in a row


def pause(took: float) -> float:
    """Return the seconds to wait after a batch that took so many seconds and was not a full one."""
    return min(max(SHORTEST, PAUSE_FACTOR * took), LONGEST)


class Reminder:
    """Limits how often a loop logs a condition that persists: at once, and then once a minute until it is over."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._due_at = clock, float("-inf")

    def is_due(self) -> bool:
        """Whether to log it now."""
        if self._clock() < self._due_at:
            return False
        self._due_at = self._clock() + REMIND
        return True

    def end(self) -> None:
        """Note that the condition is over: the next one is logged at once."""
        self._due_at = float("-inf")


class Pace:
    """Decides when a loop pauses: when it exceeds its allowance, a token bucket of seconds that idling fills."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._allowance, self._rested_at = clock, BURST, float("-inf")

    def pause(self, began: float) -> float:
        """Return the seconds to wait after a batch that began then, by the clock, and was not full."""
        now = self._clock()
        has_rested = began - self._rested_at >= LONGEST
        left = BURST if has_rested else min(BURST, self._allowance + UNPACED * (now - self._rested_at))
        left -= now - began
        wait = pause(now - began) if left < 0 else 0.0
        self._allowance, self._rested_at = max(0.0, left), now + wait
        return wait
