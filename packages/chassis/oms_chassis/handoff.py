"""Work that one thread hands to another of its process as soon as it is committed.

It need not be looked for in the database. There is only so much of it as the other thread has said it has room for.
"""

import threading
from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

Work = TypeVar("Work")


class Handoff(Generic[Work]):
    """Room is offered by the one that takes, which `wake` wakes; each `lease` is for so many seconds."""

    def __init__(self, lease: float, wake: threading.Event) -> None:
        self.lease, self._wake = lease, wake
        self._room = 0
        self._given: deque[Work] = deque()
        self._lock = threading.Lock()

    @property
    def room(self) -> int:
        """How much can be given now. Two that look at once may give twice as much: it is for keeping queues short."""
        return self._room

    @property
    def is_given(self) -> bool:
        """Whether there is something to take."""
        return bool(self._given)

    def offer(self, room: int) -> None:
        """Have so much room, less what was given and not taken yet."""
        with self._lock:
            self._room = max(0, room - len(self._given))

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
