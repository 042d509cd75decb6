"""Helpers for tests of services on a real database."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from oms_chassis import migrations
from oms_chassis.db import Database
from oms_chassis.jobs import listing
from oms_chassis.jobs.leases import finish, postpone
from oms_chassis.jobs.queue import Done, Job, JobQueue, Retry, claim
from oms_chassis.messaging.streams import (
    LETTER_LIMIT,
    Damage,
    Gap,
    Outgoing,
    Partition,
    Reached,
    Record,
    RecordRefused,
    StreamUnavailable,
    TopicRefused,
    next_offsets,
)
from oms_chassis.messaging.subscription import Handle
from oms_chassis.migrations import operators, shared
from oms_chassis.runtime.threads import Loop
from oms_chassis.statements import Rows
from oms_contracts.envelope import Event
from oms_contracts.topics import TOPICS, Topic

T = TypeVar("T")
_BY_NAME = {topic.name: topic for topic in TOPICS}
_PENDING = """
SELECT queue, id, subject, payload, traceparent, attempts FROM job
WHERE queue = %(queue)s AND dead_at IS NULL ORDER BY created_at, id
"""


def eventually(condition: Callable[[], T], within: float = 30.0) -> T:
    """Return the condition's value as soon as it is truthy. Raises AssertionError if it is not within these seconds."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not so within {within} s: {getattr(condition, '__name__', condition)}"
        time.sleep(0.02)
    return value


@contextmanager
def running(loop: Loop) -> Iterator[None]:
    """Run a consumer, a worker or another loop in a thread of its own."""
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        yield
    finally:
        loop.stop()
        thread.join(30)
        assert not thread.is_alive()


def migrated(url: str, package: str) -> Database:
    """Return a database at the newest version of a service's package."""
    database = Database(url, 4)
    migrations.upgrade(database, package)
    return database


def as_of(database: Database, package: str, revision: str) -> None:
    """Take a database back to an earlier version of its tables."""
    from alembic import command

    with database.engine.connect() as connection:
        config = migrations.configuration(package)
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def chassis_only(url: str) -> Database:
    """Return a database with only the chassis's own tables."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    database = Database(url, 6)
    with database.engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        shared.create_chassis_tables()
        shared.create_outbox_quarantine()
        shared.extend_jobs()
        shared.know_ended_attempts()
        operators.create_audit_log()
        operators.create_dead_letters()
    return database


class MemoryStream:
    """A broker in memory, which is both Source and Sink: one partition per topic, and failures on demand."""

    def __init__(self) -> None:
        self.records: dict[str, list[Record]] = {}
        self.positions: dict[Partition, int] = {}
        self.committed: dict[Partition, int] = {}
        self.failures = 0
        self.missing: set[str] = set()
        self.limit = LETTER_LIMIT
        self.silent_for = 0.0
        self.damages: dict[Partition, Damage] = {}
        self.is_closed = False

    def send(self, records: Sequence[Outgoing]) -> None:
        """Append records, or fail if a failure was planned. Refuses what a broker or its client would refuse."""
        self._fail_if_ordered()
        for topic in {one.topic for one in records} & self.missing:
            raise TopicRefused(topic, "UnknownTopicOrPartitionError")
        for one in records:
            _refuse_if_unfit(one, self.limit)
            log = self.records.setdefault(one.topic, [])
            log.append(Record(one.topic, 0, len(log), one.key, one.value, one.headers))

    def poll(self, seconds: float) -> Sequence[Record]:
        """Return the records appended since the last call."""
        self._fail_if_ordered()
        found = [r for topic, log in self.records.items() for r in log[self.positions.get((topic, 0), 0) :]]
        self.positions.update(next_offsets(found))
        if not found:
            time.sleep(min(seconds, 0.01))
        return found

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Remember."""
        self.committed.update(offsets)

    def rewind(self, offsets: Mapping[Partition, int]) -> None:
        """Read again from these offsets."""
        self.positions.update(offsets)

    def lag(self) -> Mapping[Partition, int]:
        """Return how many records were not read yet."""
        return {(topic, 0): len(log) - self.positions.get((topic, 0), 0) for topic, log in self.records.items()}

    def reached(self) -> Mapping[Partition, Reached]:
        """Return the committed offsets."""
        ends = {(topic, 0): len(log) for topic, log in self.records.items()}
        return {where: Reached(self.committed.get(where, 0), end) for where, end in ends.items()}

    def damaged(self) -> Mapping[Partition, Damage]:
        """What the test says."""
        return self.damages

    def gaps(self) -> Sequence[tuple[Partition, Gap]]:
        """None, ever."""
        return []

    def refused(self) -> Mapping[str, str]:
        """None, ever."""
        return {}

    def is_assigned(self) -> bool:
        """Always true."""
        return True

    def silence(self) -> float:
        """What the test says."""
        return self.silent_for

    def close(self) -> None:
        """Remember."""
        self.is_closed = True

    def _fail_if_ordered(self) -> None:
        if self.failures:
            self.failures -= 1
            raise StreamUnavailable("ordered by the test")


def _refuse_if_unfit(record: Outgoing, limit: int) -> None:
    """Apply kafka-python's own rules for what may be sent."""
    if record.key is None and record.value is None:
        raise RecordRefused("ValueError")
    if any(not isinstance(part, bytes | None) for part in (record.key, record.value)):
        raise RecordRefused("TypeError")
    if any(not isinstance(name, str) or not isinstance(content, bytes) for name, content in record.headers):
        raise RecordRefused("TypeError")
    if sum(len(part or b"") for part in (record.key, record.value, *dict(record.headers).values())) > limit:
        raise RecordRefused("MessageSizeTooLargeError")


def deliver(database: Database, handle: Handle, events: Iterable[Event[Any]]) -> None:
    """Pass events to a handler in one transaction, as the consumer does."""
    with database.transaction() as transaction:
        handle(transaction, list(events))


def pending_events(database: Database, topic: Topic | None = None) -> list[Event[Any]]:
    """Return the events that wait to be sent, in order."""
    rows = database.execute("SELECT topic, value FROM outbox ORDER BY id")
    return [_BY_NAME[row.topic].decode(bytes(row.value)) for row in rows if topic is None or row.topic == topic.name]


def pending_jobs(database: Database, queue: str) -> list[Job]:
    """Return the jobs of a queue, due or not, in order of creation."""
    rows = database.execute(_PENDING, queue=queue)
    return [Job(row.queue, row.id, row.subject, row.payload, row.traceparent, row.attempts) for row in rows]


def dead_jobs(database: Database, queue: str) -> Rows:
    """Return the jobs of a queue that were given up on, by id."""
    return listing.page(database, listing.Filters(queue, listing.DEAD), "", 1000)


def process_due_jobs(database: Database, job_queue: JobQueue, limit: int = 100) -> Sequence[Job]:
    """Make one pass over the due jobs as a worker does, and return the jobs that were claimed."""
    with database.transaction() as transaction:
        claimed = claim(transaction, job_queue.name, limit, job_queue.lease_seconds)
    outcomes = [(job, job_queue.call(job)) for job in claimed]
    done = [(job, outcome.result) for job, outcome in outcomes if isinstance(outcome, Done)]
    with database.transaction() as transaction:
        finish(transaction, job_queue.name, [job for job, _ in done])
        if done:
            job_queue.settle(transaction, done)
        postpone(transaction, job_queue.name, [(job, one) for job, one in outcomes if isinstance(one, Retry)])
    return claimed
