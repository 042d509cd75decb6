"""What a periodic task has to do is done together; where one entry is odd, for each apart from the others."""

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from oms_chassis.failures import is_everybodys

MOST = 5  # entries that may fail one by one before the rest is left for the next time: each may take seconds
KNOWN = 10_000  # entries that are remembered to have failed
Entry = TypeVar("Entry")


class Apart(Generic[Entry]):
    """Works on all entries at once; or, if what they hold fails that, on one after the other, so that none waits for
    one that no table, event or page can hold.

    What has failed by itself comes last from then on, and is tried apart from the others; so these are reached, however
    many there are of it before them. What all may fail by, as an outage, is not tried on each: after a few failures the
    rest is left for the next call.
    """

    def __init__(self, work: Callable[[Sequence[Entry]], None], key: Callable[[Entry], Hashable]) -> None:
        self._work, self._key = work, key
        self._odd: dict[Hashable, None] = {}  # in the order of their last failures

    def __call__(self, entries: Sequence[Entry]) -> None:
        """Work on these. Raises the error of the last one that failed, after the others."""
        odd = {key: one for one in entries if (key := self._key(one)) in self._odd}
        others = [one for one in entries if self._key(one) not in odd]
        if len(others) > 1 and self._is_done(others):
            others = []
        self._work_on_each([*others, *(odd[key] for key in self._odd if key in odd)])

    def _is_done(self, entries: Sequence[Entry]) -> bool:
        """Work on these at once; False if what they hold fails that."""
        try:
            self._work(entries)
        except Exception as error:
            if is_everybodys(error):
                raise
            return False
        return True

    def _work_on_each(self, entries: Sequence[Entry]) -> None:
        failures: list[Exception] = []
        for one in entries:
            try:
                self._work([one])
            except Exception as error:
                if is_everybodys(error):
                    raise
                failures.append(error)
                self._note(one)
                if len(failures) >= MOST:
                    break
            else:
                self._odd.pop(self._key(one), None)
        if failures:
            raise failures[-1]

    def _note(self, odd: Entry) -> None:
        self._odd.pop(self._key(odd), None)
        self._odd[self._key(odd)] = None
        if len(self._odd) > KNOWN:
            del self._odd[next(iter(self._odd))]
