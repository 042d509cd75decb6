"""What a periodic task has to do is done together; where one entry is odd, for each apart from the others."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from oms_chassis.failures import is_everybodys

MOST = 5  # entries that may fail one by one before the rest is left for the next time: each may take seconds
Entry = TypeVar("Entry")


def all_or_each(entries: Sequence[Entry], work: Callable[[Sequence[Entry]], None]) -> None:
    """Work on all of these at once; or, if what they hold fails that, on one after the other, so that none waits for
    one that no table, event or page can hold. Raises the error of the last one that failed, after the others."""
    if not entries:
        return
    try:
        work(entries)
    except Exception as error:
        if len(entries) == 1 or is_everybodys(error):
            raise
        _work_on_each(entries, work)


def _work_on_each(entries: Sequence[Entry], work: Callable[[Sequence[Entry]], None]) -> None:
    failures: list[Exception] = []
    for one in entries:
        try:
            work([one])
        except Exception as error:  # noqa: BLE001 - raised below, once the others had their turn
            failures.append(error)
            if len(failures) >= MOST or is_everybodys(error):
                break
    if failures:
        raise failures[-1]
