"""Group commit (DeWitt and others, 1984): entries that several threads write at the same time are one transaction.

A commit waits for the disk, whether it has one entry or ten.
"""

import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Entry = TypeVar("Entry")
Write = Callable[[Mapping[Key, Entry]], Mapping[Key, Entry]]


@dataclass(slots=True)
class _Asked(Generic[Key, Entry]):
    """An entry that a thread waits for, and its result."""

    key: Key
    entry: Entry
    written: Entry | None = None
    error: Exception | None = None
    is_done: bool = False


class GroupCommit(Generic[Key, Entry]):
    """Has `write` write the entries of all waiting threads; it returns, by key, what is stored now.

    Of two entries with the same key, it only gets the first, and both threads get what is stored. It must be bounded in
    time: a thread waits for one write that began before, and for its own.
    """

    def __init__(self, write: Write[Key, Entry], blocks_all_work: Callable[[Exception], bool]) -> None:
        self._write, self._blocks_all_work = write, blocks_all_work
        self._guard, self._turn = threading.Lock(), threading.Lock()
        self._waiting: list[_Asked[Key, Entry]] = []

    def submit(self, key: Key, entry: Entry) -> Entry | None:
        """Return what is stored under this key. Raises what `write` raises: for all threads, if it would fail for each
        entry; otherwise each entry is written alone."""
        asked = _Asked(key, entry)
        with self._guard:
            self._waiting.append(asked)
        with self._turn:  # the thread that has the lock writes for all that wait
            if not asked.is_done:
                self._write_all()
        if asked.error is not None:
            raise asked.error
        return asked.written

    def _write_all(self) -> None:
        with self._guard:
            group, self._waiting = self._waiting, []
        error = self._try(group)
        for one in group if error is not None and len(group) > 1 and not self._blocks_all_work(error) else ():
            self._try([one])

    def _try(self, group: list[_Asked[Key, Entry]]) -> Exception | None:
        error: Exception | None = None
        written: Mapping[Key, Entry] = {}
        try:
            written = self._write({one.key: one.entry for one in reversed(group)})
        except Exception as raised:  # noqa: BLE001 - it is raised in the thread that it belongs to
            error = raised
        for one in group:
            one.written, one.error, one.is_done = written.get(one.key), error, True
        return error
