"""Tasks that look at so many at a time: each is come to, however many there are before it that stay."""

from collections.abc import Callable, Sequence
from uuid import UUID

FIRST = UUID(int=0)  # no id is before it


class Turns:
    """Goes on after the last one that the call before came to, which the call returns, and at the end from the first.

    A function in place of a Task's.
    """

    def __init__(self, call: Callable[[UUID], UUID]) -> None:
        self._call, self._after = call, FIRST

    def __call__(self) -> None:
        self._after = self._call(self._after)


def last(ids: Sequence[str], most: int) -> UUID:
    """After which the next call goes on, if this one has come to these, and to so many at most."""
    return UUID(ids[-1]) if len(ids) == most else FIRST
