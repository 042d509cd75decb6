"""Whose fault an error is: the record's, or everything's. Only the first makes a dead letter."""

from sqlalchemy.exc import ProgrammingError

STREAK = 20  # records of a topic that may fail one after the other before that is no longer taken for their fault


class SystemicFault(Exception):
    """No event can be applied until something is repaired. Its text is the class of the error."""


def is_systemic(error: BaseException) -> bool:
    """Whether an error is the code's or the schema's, such as a missing column or right: every event would fail."""
    return isinstance(error, SystemicFault | ProgrammingError)


def name(error: BaseException) -> str:
    """The class of what went wrong."""
    return str(error) if isinstance(error, SystemicFault) else type(error).__name__


class Streaks:
    """Records that failed alone, one after the other and by the same class of error, by topic."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        self._records: dict[str, set[str]] = {}

    def add(self, topic: str, identity: str, error: Exception) -> int:
        """One more failure; how many different records have now failed in a row."""
        kind = name(error)
        if self._kinds.get(topic) != kind:
            self._kinds[topic], self._records[topic] = kind, set()
        self._records[topic].add(identity)
        return len(self._records[topic])

    def length(self, topic: str) -> int:
        """How many different records of a topic have failed in a row."""
        return len(self._records.get(topic, ()))

    def end(self, topic: str) -> None:
        """An event of this topic was applied."""
        self._kinds.pop(topic, None)
        self._records.pop(topic, None)
