"""For how long a group has kept up with its topics: all of its members, not only the one that is asked."""

import time

from oms_chassis.messaging.streams import Partition, Source

LOOK = 2.0  # seconds between two looks at the group
STALE = 30.0  # seconds after which a look at the group says nothing of now: longer than a turn takes


class Progress:
    """For how long a group has kept up. Its consumer looks from the first time on that anybody asks."""

    def __init__(self) -> None:
        self._is_wanted = False
        self._current_since = self._looked_at = float("-inf")
        self._ends: dict[Partition, int] = {}

    def kept_up(self) -> float:
        """For how many seconds nothing of the group's has waited to be applied; 0 if that is not known."""
        self._is_wanted = True
        is_known = time.monotonic() - self._looked_at < STALE
        return max(0.0, self._looked_at - self._current_since) if is_known else 0.0

    def fall_behind(self) -> None:
        """Something waits, or it is not known whether it does."""
        self._current_since = time.monotonic()

    def look(self, source: Source) -> None:
        """See how far the group has got, if that is wanted and time has passed since it was last seen."""
        now = time.monotonic()
        if not self._is_wanted or now - self._looked_at < LOOK:
            return
        reached = source.reached()
        if reached is None:
            return
        # What has come since the last look may wait: where events never cease, some always do.
        is_behind = any(one.done < self._ends.get(where, one.end) for where, one in reached.items())
        if is_behind or now - self._looked_at > STALE:
            self._current_since = now
        self._ends = {where: one.end for where, one in reached.items()}
        self._looked_at = now
