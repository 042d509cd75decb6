"""Hands committed work from one thread to another of the same process, which saves the query that would find it.

The receiver offers room for a number of items, and never gets more than that. Until its commit, a transaction may take
work back.
"""

import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, TypeVar

Work = TypeVar("Work")


class Handoff(Generic[Work]):
    """The receiver offers room and takes work; `wake` wakes it. `lease` is the length of each lease in seconds."""

    def __init__(self, lease: float, wake: threading.Event) -> None:
        self.lease, self._wake = lease, wake
        self._room, self._is_closed = 0, False
        self._given: deque[Work] = deque()
        self._lock = threading.Lock()

    @property
    def room(self) -> int:
        """How many items can be given now. Two givers may both see the same room: it is a guide, not a limit."""
        return self._room

    @property
    def given(self) -> int:
        """How many items there are to take."""
        return len(self._given)

    def offer(self, room: int) -> None:
        """Offer room for this many items, less those not taken yet; none after `close`."""
        with self._lock:
            self._room = 0 if self._is_closed else max(0, room - len(self._given))

    def close(self) -> None:
        """Offer no room from now on, even if another thread calls `offer` later."""
        with self._lock:
            self._room, self._is_closed = 0, True

    def give(self, work: Sequence[Work]) -> None:
        """Hand this work over, after its commit."""
        with self._lock:
            self._room = max(0, self._room - len(work))
            self._given.extend(work)
        self._wake.set()

    def take(self) -> list[Work]:
        """Return the items given since the last call."""
        with self._lock:
            taken = list(self._given)
            self._given.clear()
        return taken


class Handover(Generic[Work]):
    """The work of one transaction, by name, to be handed over after its commit."""

    def __init__(self, handoff: Handoff[Work]) -> None:
        self.lease, self._handoff = handoff.lease, handoff
        self._work: dict[str, Work] = {}

    @property
    def room(self) -> int:
        """How many more items may be added."""
        return max(0, self._handoff.room - len(self._work))

    def add(self, work: Mapping[str, Work]) -> None:
        """Add work to be handed over."""
        self._work.update(work)

    def take_back(self, names: Iterable[str]) -> list[str]:
        """Remove these, and return those that had been added."""
        return [name for name in names if self._work.pop(name, None) is not None]

    def give(self) -> None:
        """Hand the work over. Called after the commit."""
        if self._work:
            self._handoff.give(list(self._work.values()))
