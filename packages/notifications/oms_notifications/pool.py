"""Connections that are kept open between calls: opening one costs more than all that is said over it."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

C = TypeVar("C")
R = TypeVar("R")


class Stale(ConnectionError):
    """Raised by a use of a connection that was closed before anything came of it: the use can be repeated at once."""


def cause(error: BaseException) -> str:
    """The name of what made a use fail: of a stale connection, what was behind it."""
    return type(error.__cause__ or error).__name__


class Pool(Generic[C]):
    """Idle connections, the last used first. For threads: each use has its connection to itself.

    A connection over which a use raised anything is closed. `idle` is in seconds: after so long unused, a connection is
    not trusted any more (servers hang up on the silent).
    """

    def __init__(self, open_: Callable[[], C], close: Callable[[C], None], idle: float = 30.0) -> None:
        self._open, self._close, self._idle = open_, close, idle
        self._lock = threading.Lock()
        self._free: list[tuple[C, float]] = []

    def run(self, use: Callable[[C], R]) -> R:
        """Use a connection. What `use` raises comes through; Stale only if a new connection was stale, too."""
        kept = self._take()
        if kept is not None:
            try:
                return self._use(kept, use)
            except Stale:
                pass
        return self._use(self._open(), use)

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            free, self._free = self._free, []
        for connection, _ in free:
            self._close(connection)

    def _use(self, connection: C, use: Callable[[C], R]) -> R:
        try:
            result = use(connection)
        except BaseException:
            self._close(connection)
            raise
        with self._lock:
            self._free.append((connection, time.monotonic()))
        return result

    def _take(self) -> C | None:
        with self._lock:
            if not self._free:
                return None
            connection, since = self._free.pop()
            if time.monotonic() - since <= self._idle:
                return connection
            old, self._free = [connection, *(one for one, _ in self._free)], []
        for one in old:  # this was the one used last: the others have been idle for longer
            self._close(one)
        return None
