"""Distinguishes errors that are a record's fault from systemic ones. Only the former lead to dead letters."""

import time

from sqlalchemy.exc import DBAPIError

from oms_chassis import failures
from oms_chassis.failures import is_of_the_schema
from oms_chassis.laterreleases import OfLaterRelease

STREAK = 20  # consecutive records of a topic that may fail before the fault counts as systemic
PATIENT = 3  # records whose retries were in vain, after which others are retried without a pause
FORGET = 60.0  # seconds without a retry in vain, after which retries pause again
# Tries of a record that the database could not process, and seconds, until the record is to blame.
STRAINS, STRAIN_SECONDS = 5, 60.0
STRAIN_FORGET = 3600.0  # seconds after which the tries of a record are forgotten: it is another replica's by now


class SystemicFault(Exception):
    """No event can be applied until the cause is repaired. Its text is the class of the error."""


def is_systemic(error: BaseException) -> bool:
    """Whether every event would fail because of the code or the schema, such as a missing column or privilege. A row of
    a later release counts as well: its event waits for that release."""
    return isinstance(error, SystemicFault | OfLaterRelease) or is_of_the_schema(error)


def blocks_all_events(error: Exception) -> bool:
    """Whether no event can be applied, through no fault of a record: by a systemic fault or an unavailable database."""
    return is_systemic(error) or failures.blocks_all_work(error)


def name(error: BaseException) -> str:
    """Return the class of an error; of a database error, that of the driver."""
    if isinstance(error, SystemicFault):
        return str(error)
    return type(error.orig if isinstance(error, DBAPIError) and error.orig else error).__name__


class Streaks:
    """By topic, the records that failed alone, consecutively and with the same class of error."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        self._records: dict[str, set[str]] = {}

    def add(self, topic: str, identity: str, kind: str) -> int:
        """Count a failure with this class of error, and return how many different records have failed in a row."""
        if self._kinds.get(topic) != kind:
            self._kinds[topic], self._records[topic] = kind, set()
        self._records[topic].add(identity)
        return len(self._records[topic])

    def length(self, topic: str) -> int:
        """Return how many different records of a topic have failed in a row."""
        return len(self._records.get(topic, ()))

    def end(self, topic: str) -> None:
        """End the streak of a topic, because one of its events was applied."""
        self._kinds.pop(topic, None)
        self._records.pop(topic, None)


class Patience:
    """Whether pauses between retries are worth while: not if retries were in vain recently."""

    def __init__(self) -> None:
        self._in_vain, self._last = 0, 0.0

    def is_left(self) -> bool:
        """Whether to pause before retries."""
        return self._in_vain < PATIENT or time.monotonic() - self._last > FORGET

    def record(self, helped: bool) -> None:
        """Record whether the retries of a record helped."""
        self._in_vain, self._last = 0 if helped else self._in_vain + 1, time.monotonic()


class Strain:
    """The records that the database cannot process even alone: since when, and how often it was tried."""

    def __init__(self) -> None:
        self._tried: dict[str, tuple[float, int]] = {}

    def is_proven(self, identity: str) -> bool:
        """Count a try, and return whether there were enough of them, for long enough."""
        now = time.monotonic()
        self._tried = {one: (since, n) for one, (since, n) in self._tried.items() if now - since < STRAIN_FORGET}
        since, tries = self._tried.get(identity, (now, 0))
        self._tried[identity] = since, tries + 1
        return tries + 1 >= STRAINS and now - since >= STRAIN_SECONDS
