"""How long a loop over batches waits for its next batch to grow.

A small batch costs nearly as much as a large one: a transaction, a broker's request, a commit. So a loop waits in
proportion to what a batch took. On a busy machine batches take longer, hence grow, hence cost less an event: the loops
make room for one another by themselves. A loop that had nothing to do just before does not wait: nothing would gather.
"""

import time
from collections.abc import Callable

PAUSE_FACTOR = 4.0  # times as long as the batch took
SHORTEST, LONGEST = 0.05, 0.2  # seconds


def pause(took: float) -> float:
    """Seconds to wait after a batch that took so many seconds and was not a full one."""
    return min(max(SHORTEST, PAUSE_FACTOR * took), LONGEST)


class Pace:
    """When one loop waits: after a batch that followed closely on another."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._rested_at = clock, float("-inf")

    def pause(self, began: float) -> float:
        """Seconds to wait after a batch that began then, by the clock, and was not full; 0 for the first one after
        a time without any."""
        now = self._clock()
        wait = pause(now - began) if began - self._rested_at < LONGEST else 0.0
        self._rested_at = now + wait
        return wait
