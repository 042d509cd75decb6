"""Group commit (DeWitt and others, 1984): what several threads write at the same time is one transaction.

A commit waits for the disk, whether it is for one entry or for ten.
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
    """One entry that somebody waits for, and what came of it."""

    key: Key
    entry: Entry
    written: Entry | None = None
    error: Exception | None = None
    is_done: bool = False


class GroupCommit(Generic[Key, Entry]):
    """Has `write` write the entries of all threads that wait; it gives, by key, what is written there now.

    Of two entries with one key, only the first is handed to it, and both get what is written. It must end in time: a
    thread waits for one write that began before, and for its own.
    """

    def __init__(self, write: Write[Key, Entry], blocks_all_work: Callable[[Exception], bool]) -> None:
        self._write, self._blocks_all_work = write, blocks_all_work
        self._guard, self._turn = threading.Lock(), threading.Lock()
        self._waiting: list[_Asked[Key, Entry]] = []

    def submit(self, key: Key, entry: Entry) -> Entry | None:
        """What is written under this key. Raises what `write` raises: for all, if it would fail alike for each of them;
        else each is written by itself."""
        asked = _Asked(key, entry)
        with self._guard:
            self._waiting.append(asked)
        with self._turn:  # whoever has it writes for all who wait
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
        except Exception as raised:  # noqa: BLE001 - it is raised where it belongs
            error = raised
        for one in group:
            one.written, one.error, one.is_done = written.get(one.key), error, True
        return error
