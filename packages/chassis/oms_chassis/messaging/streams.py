"""The interface between consumer or relay and the broker. The package `kafka` implements it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Protocol

Partition = tuple[str, int]
Headers = Sequence[tuple[str, bytes | None]]

BATCH = 500  # the most records that are read, or sent, in one batch
RECORD_LIMIT = 4 * 1024 * 1024  # the largest record that an event's topic accepts, in bytes
LETTER_LIMIT = RECORD_LIMIT + 1024 * 1024  # a dead letter is a record with more headers


class StreamUnavailable(Exception):
    """The broker is unavailable or did not acknowledge: the call may succeed later. Its text is the error's class."""


class TopicRefused(Exception):
    """The broker accepts no record for this topic: it is missing, or the service may not write to it."""

    def __init__(self, topic: str, error: str) -> None:
        super().__init__(error)
        self.topic, self.error = topic, error


class RecordRefused(Exception):
    """One of the records can never be sent. Its text is the error's class."""


@dataclass(frozen=True)
class Record:
    """A record that was read."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @cached_property
    def name(self) -> str:
        """An id for the record itself, since its event's id may be unreadable. It contains a hash of the content:
        in a topic that was deleted and recreated, offsets start at 0 again."""
        held = b"%d %b %b" % (len(self.key or b""), self.key or b"", self.value or b"")
        return f"dead:{self.topic}:{self.partition}:{self.offset}:{blake2b(held, digest_size=8).hexdigest()}"


@dataclass(frozen=True)
class Damage:
    """A range of records that the broker has but that cannot be read; `beyond` is exclusive."""

    first: int
    beyond: int


@dataclass(frozen=True)
class Gap:
    """A range of records that were deleted before they were read; `beyond` is exclusive. It is the smaller offset if
    the topic was deleted and recreated: then nobody knows what was in the old one."""

    first: int
    beyond: int


@dataclass(frozen=True)
class Reached:
    """A group's progress in a partition: records before `done` are applied, and the partition ends before `end`."""

    done: int
    end: int


@dataclass(frozen=True)
class Outgoing:
    """A record to be sent."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Identity:
    """A consumer's member id in its group. It outlives a connection: a consumer that rejoins under another id has to
    wait until the group has removed the old member."""

    def __init__(self, member_id: str = "") -> None:
        self.member_id = member_id

    def become(self, member_id: str) -> None:
        """Take the member id that the group has assigned."""
        self.member_id = member_id


class Source(Protocol):
    """What a consumer reads from. All methods may raise StreamUnavailable, and are called by one thread."""

    def poll(self, seconds: float) -> Sequence[Record]:
        """Return up to 500 records, in order within each partition. Waits at most `seconds` for the first."""
        ...

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit these offsets: everything before them is processed."""
        ...

    def rewind(self, offsets: Mapping[Partition, int]) -> None:
        """Read again from these offsets, in partitions that are still assigned."""
        ...

    def lag(self) -> Mapping[Partition, int]:
        """Return the number of unread records of each assigned partition."""
        ...

    def reached(self) -> Mapping[Partition, Reached] | None:
        """Return the progress of the whole group, in all partitions of its topics. Does not wait for the answer:
        returns None until one has arrived, and then again until the next one has."""
        ...

    def damaged(self) -> Mapping[Partition, Damage]:
        """Return the assigned partitions that cannot be read any further, and where."""
        ...

    def gaps(self) -> Sequence[tuple[Partition, Gap]]:
        """Return the gaps that were found since the last call."""
        ...

    def refused(self) -> Mapping[str, str]:
        """Return the topics that the broker does not let this service read, each with the error's class."""
        ...

    def is_assigned(self) -> bool:
        """Whether the group has given this consumer its partitions (maybe none)."""
        ...

    def silence(self) -> float:
        """Return the seconds since a broker last answered anything."""
        ...

    def close(self) -> None:
        """Leave the group."""
        ...


class Sink(Protocol):
    """What a relay writes to."""

    def send(self, records: Sequence[Outgoing]) -> None:
        """Send all records, and return once the broker has acknowledged each of them.

        Raises StreamUnavailable if it has not, TopicRefused or RecordRefused if it never will. Some records may have
        been sent nevertheless.
        """
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


def first_offsets(records: Sequence[Record]) -> dict[Partition, int]:
    """Return the offset of the first of these records in each partition."""
    return {(r.topic, r.partition): r.offset for r in reversed(records)}


def next_offsets(records: Sequence[Record]) -> dict[Partition, int]:
    """Return the offset after the last of these records in each partition."""
    return {(r.topic, r.partition): r.offset + 1 for r in records}
