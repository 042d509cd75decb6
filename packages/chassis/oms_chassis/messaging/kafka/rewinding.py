"""Moves a group's offsets: back in time, to read again after its database was restored, or forward beyond records that
nobody can read."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import CommitFailedError, IllegalGenerationError, UnknownMemberIdError
from kafka.structs import OffsetAndMetadata

from oms_chassis.messaging.kafka.connection import closed_on_error, connection, unavailable_on_error
from oms_chassis.messaging.streams import Partition
from oms_chassis.settings import Settings

TIMEOUT = 30_000  # milliseconds for an answer of the broker


class GroupInUse(Exception):
    """The group has members, which would not notice, and would commit their own offsets."""


class NoSuchPlace(Exception):
    """There is no such partition, or it has no such offset yet: a group that was set there would start over with all
    records of the topic."""


def rewind(settings: Settings, group: str, names: Iterable[str], since: datetime) -> dict[Partition, int]:
    """Set a group back, and never forward, to the first record since a time in each partition of these topics.

    Return the offset to which each partition was set. Raises GroupInUse while the group has members, StreamUnavailable
    without a broker.
    """
    with unavailable_on_error(), nobody(settings, group) as consumer:
        partitions = [where for name in names for where in partitions_of(consumer, f"{settings.kafka_prefix}{name}")]
        consumer.assign(partitions)
        back = _back(consumer, partitions, since)
        if back:
            _commit(consumer, back)
    return {(where.topic.removeprefix(settings.kafka_prefix), where.partition): at for where, at in back.items()}


def skip(settings: Settings, group: str, where: Partition, beyond: int) -> int | None:
    """Set a group forward to this offset of a partition. Return where it was, or None if it was already there or
    beyond.

    The records in between are not processed. Raises NoSuchPlace; GroupInUse and StreamUnavailable as `rewind` does.
    """
    topic, partition = where
    at = TopicPartition(f"{settings.kafka_prefix}{topic}", partition)
    with unavailable_on_error(), nobody(settings, group) as consumer:
        if at not in partitions_of(consumer, at.topic) or consumer.end_offsets([at], timeout_ms=TIMEOUT)[at] < beyond:
            raise NoSuchPlace
        consumer.assign([at])
        reached: int = consumer.committed(at, timeout_ms=TIMEOUT) or 0
        if reached >= beyond:
            return None
        _commit(consumer, {at: beyond})
    return reached


@contextmanager
def nobody(settings: Settings, group: str) -> Iterator[KafkaConsumer]:
    """A consumer that acts for a group without joining it."""
    with closed_on_error() as client:
        consumer = KafkaConsumer(
            **connection(settings),
            kafka_client=client,
            group_id=f"{settings.kafka_prefix}{group}",
            enable_auto_commit=False,
            metrics_enabled=False,
        )
        try:
            yield consumer
        finally:
            consumer.close(autocommit=False, timeout_ms=5_000)


def partitions_of(consumer: KafkaConsumer, topic: str) -> list[TopicPartition]:
    """Return the partitions of a topic, by its name at the broker; none if the topic does not exist."""
    return [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]


def _back(consumer: KafkaConsumer, partitions: list[TopicPartition], since: datetime) -> dict[TopicPartition, int]:
    """Return the partitions in which the group is beyond the first record since then, and that record's offset. A
    partition without a committed offset is read from the start anyway."""
    milliseconds = int(since.timestamp() * 1000)
    first = consumer.offsets_for_times(dict.fromkeys(partitions, milliseconds), timeout_ms=TIMEOUT)
    reached = {where: consumer.committed(where, timeout_ms=TIMEOUT) for where in partitions}
    return {
        where: found.offset
        for where, found in first.items()
        if found is not None and (at := reached[where]) is not None and at > found.offset
    }


def _commit(consumer: KafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
    try:
        consumer.commit(
            {where: OffsetAndMetadata(offset, "", -1) for where, offset in offsets.items()}, timeout_ms=TIMEOUT
        )
    except (CommitFailedError, UnknownMemberIdError, IllegalGenerationError) as error:
        raise GroupInUse from error
