"""What a consumer and a relay need of a broker, in this project's words. `kafka` is the one implementation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Protocol

Partition = tuple[str, int]
Headers = Sequence[tuple[str, bytes | None]]

BATCH = 500  # records at most that are read, or sent, as one
RECORD_LIMIT = 4 * 1024 * 1024  # bytes that an event's topic takes of one record
LETTER_LIMIT = RECORD_LIMIT + 1024 * 1024  # a dead letter is its record and more


class StreamUnavailable(Exception):
    """The broker is away or did not acknowledge: the same call may succeed later. Its text is the error's class."""


class TopicRefused(Exception):
    """The broker takes nothing for this topic: it is missing, or not ours to write to. Others are not concerned."""

    def __init__(self, topic: str, error: str) -> None:
        super().__init__(error)
        self.topic, self.error = topic, error


class RecordRefused(Exception):
    """One of the records can never be sent as it is. Its text is the error's class."""


@dataclass(frozen=True)
class Record:
    """A record as it was read."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @cached_property
    def name(self) -> str:
        """A name for the record itself, for one whose event id cannot be read. What it holds is a part of it: a topic
        that was deleted and made again begins with its offsets at 0."""
        held = b"%d %b %b" % (len(self.key or b""), self.key or b"", self.value or b"")
        return f"dead:{self.topic}:{self.partition}:{self.offset}:{blake2b(held, digest_size=8).hexdigest()}"


@dataclass(frozen=True)
class Damage:
    """Records that the broker has, and that nobody can read: from an offset up to, and without, another."""

    first: int
    beyond: int


@dataclass(frozen=True)
class Gap:
    """Records that were gone before they were read: from an offset up to, and without, another. That is the smaller one
    where the topic was deleted and made again; nobody knows then what was in the old one."""

    first: int
    beyond: int


@dataclass(frozen=True)
class Reached:
    """How far a group has got in a partition: what is before `done` is applied, and at `end` there is nothing yet."""

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
    """Who a consumer is in its group, by the name that it got there. It outlives a connection: a consumer that comes
    back as somebody else has to wait until the group has given up who it was."""

    def __init__(self, member_id: str = "") -> None:
        self.member_id = member_id

    def become(self, member_id: str) -> None:
        """Take the name that the group gives."""
        self.member_id = member_id


class Source(Protocol):
    """Where a consumer reads. All methods raise StreamUnavailable, and are called by one thread."""

    def poll(self, seconds: float) -> Sequence[Record]:
        """Up to 500 records, in order within each partition; waits at most `seconds` for the first."""
        ...

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Say that everything before these offsets is processed."""
        ...

    def rewind(self, offsets: Mapping[Partition, int]) -> None:
        """Read again from these offsets, in partitions that are still ours."""
        ...

    def lag(self) -> Mapping[Partition, int]:
        """Records not yet read, for the partitions that are ours now."""
        ...

    def reached(self) -> Mapping[Partition, Reached] | None:
        """How far the whole group has got, in all partitions of its topics. Waits for no answer: None until it has
        come, and then again until there is another one."""
        ...

    def damaged(self) -> Mapping[Partition, Damage]:
        """The partitions of ours that cannot be read on, and where."""
        ...

    def gaps(self) -> Sequence[tuple[Partition, Gap]]:
        """Where records were gone before they were read, since this was last asked."""
        ...

    def refused(self) -> Mapping[str, str]:
        """The topics that the broker lets nobody here read, each with the error's class. The others are read."""
        ...

    def is_assigned(self) -> bool:
        """Whether the group has given this consumer its partitions (maybe none)."""
        ...

    def silence(self) -> float:
        """Seconds since a broker last answered anything."""
        ...

    def close(self) -> None:
        """Leave the group."""
        ...


class Sink(Protocol):
    """Where a relay writes."""

    def send(self, records: Sequence[Outgoing]) -> None:
        """Send all and return once the broker has acknowledged each.

        StreamUnavailable if it has not, TopicRefused or RecordRefused if it never will; some may have been sent then.
        """
        ...

    def close(self) -> None:
        """Let go of the connections."""
        ...


def first_offsets(records: Sequence[Record]) -> dict[Partition, int]:
    """Where each partition's records begin."""
    return {(r.topic, r.partition): r.offset for r in reversed(records)}


def next_offsets(records: Sequence[Record]) -> dict[Partition, int]:
    """Where each partition goes on after these records."""
    return {(r.topic, r.partition): r.offset + 1 for r in records}
