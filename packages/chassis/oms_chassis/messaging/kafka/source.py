"""A member of a consumer group."""

import contextlib
import time
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    KafkaTimeoutError,
    RebalanceInProgressError,
    TopicAuthorizationFailedError,
)
from kafka.structs import OffsetAndMetadata

from oms_chassis.messaging.kafka import batches
from oms_chassis.messaging.kafka.connection import closed_on_error, connection, unavailable_on_error
from oms_chassis.messaging.kafka.groupoffsets import GroupOffsets
from oms_chassis.messaging.kafka.membership import Membership, assignors
from oms_chassis.messaging.kafka.positions import Positions
from oms_chassis.messaging.kafka.unread import Unread
from oms_chassis.messaging.streams import (
    BATCH,
    RECORD_LIMIT,
    Damage,
    Gap,
    Identity,
    Partition,
    Reached,
    Record,
    StreamUnavailable,
)
from oms_chassis.settings import Settings

POLL_INTERVAL = 60.0  # seconds between polls after which the group gives a member's partitions to others
# seconds between heartbeats, at most: their answers announce a rebalance, and the group waits until all members know
HEARTBEAT = 1.0
COMMIT = 0.5  # seconds between two commits: each costs as much as a small batch, and the inbox drops repeated records
COMMIT_WITHIN = 2.0  # seconds until an unanswered commit is left for later
QUIET = 4.0  # seconds of silence that mean that no broker is there: heartbeats are answered sooner


class KafkaSource:
    """A member of a consumer group. Offsets are committed explicitly, some time after the work."""

    def __init__(self, settings: Settings, group: str, names: Sequence[str], identity: Identity | None = None) -> None:
        self._identity = identity or Identity()
        self._prefix = settings.kafka_prefix
        self._answered = time.monotonic()
        self._uncommitted: dict[TopicPartition, int] = {}
        self._committed_at = float("-inf")
        with unavailable_on_error(), closed_on_error() as client:
            self._consumer = self._join(
                settings, f"{self._prefix}{group}", [f"{self._prefix}{name}" for name in names], client
            )

    def _join(self, settings: Settings, group: str, names: Sequence[str], client: Callable[..., Any]) -> KafkaConsumer:
        consumer = KafkaConsumer(
            **connection(settings),
            kafka_client=client,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            partition_assignment_strategy=assignors(),
            max_poll_records=BATCH,
            max_partition_fetch_bytes=RECORD_LIMIT,
            session_timeout_ms=int(settings.kafka_session_seconds * 1000),
            heartbeat_interval_ms=int(min(HEARTBEAT, settings.kafka_session_seconds / 3) * 1000),
            max_poll_interval_ms=int(POLL_INTERVAL * 1000),
            metadata_max_age_ms=10_000,
            metrics_enabled=False,
        )
        batches.read_all(consumer._fetcher)  # noqa: SLF001 - nothing public decides how a batch is read
        self._membership = Membership(consumer, self._identity)
        self._group_offsets, self._unread = GroupOffsets(consumer, names), Unread(consumer, names)
        self._positions = Positions(consumer, names)
        consumer.subscribe(list(names))
        # kafka-python 3.0.12: a member that joins before it knows its topics joins again once it learns of them, and if
        # a poll ends in between, it waits for ever. So make it learn of them first.
        for name in names:
            consumer.partitions_for_topic(name)
        return consumer

    def poll(self, seconds: float) -> Sequence[Record]:
        if self.silence() > QUIET:
            # kafka-python 3.0.12 polls in a busy loop while the answer to its heartbeat is late.
            time.sleep(seconds)
            seconds = 0.0
        with unavailable_on_error():
            self._begin_again(self._positions.recreated())
            self._commit_in_time()
            found = self._unread.poll(seconds)
            self._positions.note({where: records[-1].offset + 1 for where, records in found.items()})
            if not found:  # then all earlier records were processed
                self._uncommitted |= self._positions.passed()
        # The wait that `_join` prevents can still happen when a topic gets more partitions: start over then.
        if self._membership.is_lost():
            raise StreamUnavailable("the group has not taken this member in")
        return [
            Record(self._name(r.topic), r.partition, r.offset, r.key, r.value, r.headers or ())
            for records in found.values()
            for r in records
        ]

    def _begin_again(self, topics: Container[str]) -> None:
        self._uncommitted = {at: offset for at, offset in self._uncommitted.items() if at.topic not in topics}

    def damaged(self) -> Mapping[Partition, Damage]:
        return {(self._name(where.topic), where.partition): one for where, one in self._unread.damaged().items()}

    def gaps(self) -> Sequence[tuple[Partition, Gap]]:
        return [((self._name(where.topic), where.partition), gap) for where, gap in self._positions.gaps()]

    def refused(self) -> Mapping[str, str]:
        return {self._name(topic): error for topic, error in self._unread.refused().items()}

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        self._uncommitted |= {self._at(where): offset for where, offset in offsets.items()}
        with unavailable_on_error():
            self._commit_in_time()

    def _commit_in_time(self) -> None:
        is_due = time.monotonic() - self._committed_at >= COMMIT
        if self._uncommitted and is_due and self.silence() < QUIET:
            self._commit()

    def _commit(self) -> None:
        """Commit the offsets of partitions that are still assigned. Records of reassigned ones are read again there,
        and the inbox drops them. If the broker does not answer, or the group is rebalancing, the offsets are committed
        later."""
        ours = self._consumer.assignment()
        kept = {at: offset for at, offset in self._uncommitted.items() if at in ours}
        self._uncommitted = {}
        try:
            if kept:
                offsets = {at: OffsetAndMetadata(offset, "", -1) for at, offset in kept.items()}
                self._consumer.commit(offsets, timeout_ms=int(COMMIT_WITHIN * 1000))
        except (KafkaTimeoutError, RebalanceInProgressError):
            self._uncommitted = kept
        except (CommitFailedError, TopicAuthorizationFailedError):
            pass  # the group has removed this member, or it may not read a topic any more: these records are read again
        finally:
            self._committed_at = time.monotonic()

    def rewind(self, offsets: Mapping[Partition, int]) -> None:
        for where, offset in offsets.items():
            with contextlib.suppress(IllegalStateError, AssertionError, ValueError):  # it is another member's by now
                self._consumer.seek(self._at(where), offset)

    def lag(self) -> Mapping[Partition, int]:
        lags = {}
        for where in self._consumer.assignment():
            with contextlib.suppress(KafkaError, IllegalStateError, AssertionError):
                end, position = self._consumer.highwater(where), self._consumer.position(where, timeout_ms=100)
                if end is not None and position is not None:
                    lags[self._name(where.topic), where.partition] = max(0, end - position)
        return lags

    def reached(self) -> Mapping[Partition, Reached] | None:
        reached = self._group_offsets.reached()
        return reached and {(self._name(where.topic), where.partition): one for where, one in reached.items()}

    def is_assigned(self) -> bool:
        return self._membership.is_assigned

    def silence(self) -> float:
        # A connection counts once the broker has answered on it: the kernel may accept one without a broker.
        connections = list(self._consumer._client._manager._conns.values())  # noqa: SLF001 - nothing public says it
        reads = [one.transport.last_read for one in connections if one.connected and one.transport]
        self._answered = max([self._answered, *reads])
        return time.monotonic() - self._answered

    def close(self) -> None:
        with contextlib.suppress(KafkaError, OSError):
            self._commit()
        with contextlib.suppress(KafkaError, OSError):
            self._consumer.close(autocommit=False, timeout_ms=5_000)

    def _name(self, topic: str) -> str:
        return topic.removeprefix(self._prefix)

    def _at(self, where: Partition) -> TopicPartition:
        topic, partition = where
        return TopicPartition(f"{self._prefix}{topic}", partition)
