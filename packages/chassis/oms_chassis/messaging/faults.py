"""Whose fault an error is: the record's, or everything's. Only the first makes a dead letter."""

import time

from sqlalchemy.exc import DBAPIError

from oms_chassis import failures
from oms_chassis.failures import is_of_the_schema
from oms_chassis.laterreleases import OfLaterRelease

STREAK = 20  # records of a topic that may fail one after the other before that is no longer taken for their fault
PATIENT = 3  # records whose further tries were in vain, after which no other is waited for
FORGET = 60.0  # seconds without one in vain after which records are waited for again
# Tries of a single record that the database could not carry out, and seconds, until that is taken for its fault.
STRAINS, STRAIN_SECONDS = 5, 60.0
STRAIN_FORGET = 3600.0  # seconds after its first try that a record is no longer counted: it has become another's


class SystemicFault(Exception):
    """No event can be applied until something is repaired. Its text is the class of the error."""


def is_systemic(error: BaseException) -> bool:
    """Whether an error is the code's or the schema's, such as a missing column or right: every event would fail. A row
    of a later release is, too: its event waits for an image of that release."""
    return isinstance(error, SystemicFault | OfLaterRelease) or is_of_the_schema(error)


def blocks_all_events(error: Exception) -> bool:
    """Whether no record is to blame, and none can be applied: the fault is systemic, or the database is away."""
    return is_systemic(error) or failures.blocks_all_work(error)


def name(error: BaseException) -> str:
    """The class of what went wrong: the driver's, if it was the database that said so."""
    if isinstance(error, SystemicFault):
        return str(error)
    return type(error.orig if isinstance(error, DBAPIError) and error.orig else error).__name__


class Streaks:
    """Records that failed alone, one after the other and by the same class of error, by topic."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        self._records: dict[str, set[str]] = {}

    def add(self, topic: str, identity: str, kind: str) -> int:
        """One more failure by this class of error; how many different records have now failed in a row."""
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


class Patience:
    """Whether it is worth while to wait and try a failed record again: not if that was in vain of late."""

    def __init__(self) -> None:
        self._in_vain, self._last = 0, 0.0

    def is_left(self) -> bool:
        """Whether to wait."""
        return self._in_vain < PATIENT or time.monotonic() - self._last > FORGET

    def record(self, helped: bool) -> None:
        """What came of trying again."""
        self._in_vain, self._last = 0 if helped else self._in_vain + 1, time.monotonic()


class Strain:
    """The records that the database cannot carry out on their own, since when, and how often that was tried."""

    def __init__(self) -> None:
        self._tried: dict[str, tuple[float, int]] = {}

    def is_proven(self, identity: str) -> bool:
        """One more try; whether there were enough of them, for long enough."""
        now = time.monotonic()
        self._tried = {one: (since, n) for one, (since, n) in self._tried.items() if now - since < STRAIN_FORGET}
        since, tries = self._tried.get(identity, (now, 0))
        self._tried[identity] = since, tries + 1
        return tries + 1 >= STRAINS and now - since >= STRAIN_SECONDS
