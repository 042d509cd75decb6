"""A dictionary that drops its oldest entry when it is full, so that requests from strangers cannot fill the memory."""

from typing import Generic, TypeVar

T = TypeVar("T")


class Bounded(Generic[T]):
    """Keeps at most `limit` values by key. Used from one thread."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: dict[str, T] = {}

    def get(self, key: str) -> T | None:
        """Return the value if it is still there."""
        return self._values.get(key)

    def put(self, key: str, value: T) -> None:
        """Store a value as the newest."""
        self._values.pop(key, None)
        if len(self._values) >= self._limit:
            del self._values[next(iter(self._values))]
        self._values[key] = value

    def clear(self) -> None:
        """Remove all values."""
        self._values.clear()

    def __len__(self) -> int:
        return len(self._values)
