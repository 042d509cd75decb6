"""A dictionary that forgets what it got first once it is full: what strangers send must not fill the memory."""

from typing import Generic, TypeVar

T = TypeVar("T")


class Bounded(Generic[T]):
    """At most `limit` values by their keys; used from one thread."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: dict[str, T] = {}

    def get(self, key: str) -> T | None:
        """The value, if it is still remembered."""
        return self._values.get(key)

    def put(self, key: str, value: T) -> None:
        """Remember a value, as the newest."""
        self._values.pop(key, None)
        if len(self._values) >= self._limit:
            del self._values[next(iter(self._values))]
        self._values[key] = value

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()

    def __len__(self) -> int:
        return len(self._values)
