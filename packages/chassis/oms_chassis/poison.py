"""Isolates poison entries in the batches of a periodic task, so that the other entries are processed all the same."""

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from oms_chassis.failures import blocks_all_work

MAX_FAILURES = 5  # in one call: each entry that is tried alone may take seconds; the rest waits for the next call
MAX_REMEMBERED = 10_000
Entry = TypeVar("Entry")


class PoisonIsolator(Generic[Entry]):
    """Processes all entries at once; if an entry makes that fail, processes them one by one.

    Entries that failed alone are remembered: later calls process the others at once, as before, and then retry the
    remembered ones, those that failed longest ago first. So however many of them there are, every entry gets its turn.
    An error that would stop any entry, such as an outage, is raised at once and blamed on none of them.
    """

    def __init__(self, work: Callable[[Sequence[Entry]], None], key: Callable[[Entry], Hashable]) -> None:
        self._work, self._key = work, key
        self._poison: dict[Hashable, None] = {}  # ordered by the time of the last failure

    def __call__(self, entries: Sequence[Entry]) -> None:
        """Process these entries. Raises the last error, after all the others have been processed."""
        poison = {key: one for one in entries if (key := self._key(one)) in self._poison}
        others = [one for one in entries if self._key(one) not in poison]
        if len(others) > 1 and self._process_together(others):
            others = []
        self._process_one_by_one([*others, *(poison[key] for key in self._poison if key in poison)])

    def _process_together(self, entries: Sequence[Entry]) -> bool:
        """Whether it succeeded; False if one of the entries is to blame."""
        try:
            self._work(entries)
        except Exception as error:
            if blocks_all_work(error):
                raise
            return False
        return True

    def _process_one_by_one(self, entries: Sequence[Entry]) -> None:
        failures: list[Exception] = []
        for one in entries:
            try:
                self._work([one])
            except Exception as error:
                if blocks_all_work(error):
                    raise
                failures.append(error)
                self._remember(one)
                if len(failures) >= MAX_FAILURES:
                    break
            else:
                self._poison.pop(self._key(one), None)
        if failures:
            raise failures[-1]

    def _remember(self, poison: Entry) -> None:
        self._poison.pop(self._key(poison), None)
        self._poison[self._key(poison)] = None
        if len(self._poison) > MAX_REMEMBERED:
            del self._poison[next(iter(self._poison))]
