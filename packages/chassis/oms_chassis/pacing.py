"""How long a loop over batches waits for its next batch to grow.

A small batch costs nearly as much as a large one: a transaction, a broker's request, a commit. So a loop waits in
proportion to what a batch took. On a busy machine batches take longer, hence grow, hence cost less an event: the loops
make room for one another by themselves. A loop that has little to do does not wait: nothing would gather.
"""

import time
from collections.abc import Callable

REMIND = 60.0  # seconds between two lines about the same thing
PAUSE_FACTOR = 4.0  # times as long as the batch took
SHORTEST, LONGEST = 0.05, 0.2  # seconds
UNPACED, BURST = 0.05, 0.5  # the share of its time that a loop may work without waits, and so many seconds at once


def pause(took: float) -> float:
    """Seconds to wait after a batch that took so many seconds and was not a full one."""
    return min(max(SHORTEST, PAUSE_FACTOR * took), LONGEST)


class Reminder:
    """When a loop says what it meets each time that it comes around: at once, and then each minute until it is over."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._due_at = clock, float("-inf")

    def is_due(self) -> bool:
        """Whether to say it now."""
        if self._clock() < self._due_at:
            return False
        self._due_at = self._clock() + REMIND
        return True

    def end(self) -> None:
        """It is over: what comes next is said at once."""
        self._due_at = float("-inf")


class Pace:
    """When one loop waits: while it works more than its allowance, a token bucket of seconds that a rest fills."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._allowance, self._rested_at = clock, BURST, float("-inf")

    def pause(self, began: float) -> float:
        """Seconds to wait after a batch that began then, by the clock, and was not full."""
        now = self._clock()
        has_rested = began - self._rested_at >= LONGEST
        left = BURST if has_rested else min(BURST, self._allowance + UNPACED * (now - self._rested_at))
        left -= now - began
        wait = pause(now - began) if left < 0 else 0.0
        self._allowance, self._rested_at = max(0.0, left), now + wait
        return wait
