"""Tasks that look at so many at a time: each is come to, however many there are before it that stay."""

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar
from uuid import UUID

from oms_chassis.apart import Apart

FIRST = UUID(int=0)  # no id is before it
Entry = TypeVar("Entry")


class Turns(Generic[Entry]):
    """Finds those after the last one that the call before found, and at the end from the first, and works on them: on
    each apart from the others, if one is odd. It goes on after them, too, where that has failed.

    A function in place of a Task's.
    """

    def __init__(
        self,
        find: Callable[[UUID], tuple[Sequence[Entry], UUID]],
        work: Callable[[Sequence[Entry]], None],
        key: Callable[[Entry], Hashable],
    ) -> None:
        self._find, self._work, self._after = find, Apart(work, key), FIRST

    def __call__(self) -> None:
        found, self._after = self._find(self._after)
        self._work(found)


def last(ids: Sequence[str], most: int) -> UUID:
    """After which the next call goes on, if this one has come to these, and to so many at most."""
    return UUID(ids[-1]) if len(ids) == most else FIRST
