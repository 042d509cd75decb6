"""Work that one thread hands to another of its process as soon as it is committed.

It need not be looked for in the database. There is only so much of it as the other thread has said it has room for.
Until it is committed it is its transaction's, which may take it back.
"""

import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, TypeVar

Work = TypeVar("Work")


class Handoff(Generic[Work]):
    """Room is offered by the one that takes, which `wake` wakes; each `lease` is for so many seconds."""

    def __init__(self, lease: float, wake: threading.Event) -> None:
        self.lease, self._wake = lease, wake
        self._room, self._is_closed = 0, False
        self._given: deque[Work] = deque()
        self._lock = threading.Lock()

    @property
    def room(self) -> int:
        """How much can be given now. Two that look at once may give twice as much: it is for keeping queues short."""
        return self._room

    @property
    def given(self) -> int:
        """How much there is to take."""
        return len(self._given)

    def offer(self, room: int) -> None:
        """Have so much room, less what was given and not taken yet; none after the end."""
        with self._lock:
            self._room = 0 if self._is_closed else max(0, room - len(self._given))

    def close(self) -> None:
        """Have no room from now on, whatever is offered by a thread that does not know yet."""
        with self._lock:
            self._room, self._is_closed = 0, True

    def give(self, work: Sequence[Work]) -> None:
        """Hand this over: it is committed."""
        with self._lock:
            self._room = max(0, self._room - len(work))
            self._given.extend(work)
        self._wake.set()

    def take(self) -> list[Work]:
        """What was given since."""
        with self._lock:
            taken = list(self._given)
            self._given.clear()
        return taken


class Handover(Generic[Work]):
    """What one transaction hands over, by name, if it is committed."""

    def __init__(self, handoff: Handoff[Work]) -> None:
        self.lease, self._handoff = handoff.lease, handoff
        self._work: dict[str, Work] = {}

    @property
    def room(self) -> int:
        """How much more it may hand over."""
        return max(0, self._handoff.room - len(self._work))

    def add(self, work: Mapping[str, Work]) -> None:
        """Hand this over, too."""
        self._work.update(work)

    def take_back(self, names: Iterable[str]) -> list[str]:
        """Hand these over no more; those of them that would have been."""
        return [name for name in names if self._work.pop(name, None) is not None]

    def give(self) -> None:
        """It is committed."""
        if self._work:
            self._handoff.give(list(self._work.values()))
