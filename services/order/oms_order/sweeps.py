"""Periodic sweeps over rows that may stay as they are: one page per call, so that no row starves another."""

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar
from uuid import UUID

from oms_chassis.poison import PoisonIsolator

FIRST = UUID(int=0)  # no id is before it
Entry = TypeVar("Entry")


class PagedSweep(Generic[Entry]):
    """Finds the page after the previous one, or the first again, and processes it; poison rows are tried alone. The
    next call continues with the next page even if this one failed. Called by a Task."""

    def __init__(
        self,
        find: Callable[[UUID], tuple[Sequence[Entry], UUID]],
        work: Callable[[Sequence[Entry]], None],
        key: Callable[[Entry], Hashable],
    ) -> None:
        self._find, self._work, self._after = find, PoisonIsolator(work, key), FIRST

    def __call__(self) -> None:
        found, self._after = self._find(self._after)
        self._work(found)


def resume_after(ids: Sequence[str], limit: int) -> UUID:
    """The id after which the next page begins: the last of a full page, or FIRST once the end is reached."""
    return UUID(ids[-1]) if len(ids) == limit else FIRST
