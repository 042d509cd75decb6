"""Measures for how long a whole group, not only this member, has kept up with its topics."""

import time

from oms_chassis.messaging.streams import Partition, Source

LOOK = 2.0  # seconds between two observations of the group
STALE = 30.0  # seconds after which an observation is out of date: longer than a turn takes


class Progress:
    """For how long a group has kept up. It is observed only once somebody has asked."""

    def __init__(self) -> None:
        self._is_wanted = False
        self._current_since = self._looked_at = float("-inf")
        self._ends: dict[Partition, int] = {}

    def kept_up(self) -> float:
        """Return for how many seconds no record has waited to be applied by the group; 0 if that is not known."""
        self._is_wanted = True
        is_known = time.monotonic() - self._looked_at < STALE
        return max(0.0, self._looked_at - self._current_since) if is_known else 0.0

    def fall_behind(self) -> None:
        """Start again at 0: records wait, or it is not known whether they do."""
        self._current_since = time.monotonic()

    def look(self, source: Source) -> None:
        """Observe the group's progress, if somebody has asked for it and the last observation is old enough."""
        now = time.monotonic()
        if not self._is_wanted or now - self._looked_at < LOOK:
            return
        reached = source.reached()
        if reached is None:
            return
        # Records newer than the last observation may wait: where events never cease, some always do.
        is_behind = any(one.done < self._ends.get(where, one.end) for where, one in reached.items())
        if is_behind or now - self._looked_at > STALE:
            self._current_since = now
        self._ends = {where: one.end for where, one in reached.items()}
        self._looked_at = now
