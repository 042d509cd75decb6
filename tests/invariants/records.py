"""Reads the topics of events, and how far each service has read them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from oms_chassis.messaging.kafka import batches
from oms_chassis.messaging.kafka import connection as kafka_connection
from oms_chassis.settings import Settings
from oms_contracts.topics import SERVICES, TOPICS, read_by


@contextmanager
def consumer_of(kafka: str | Settings) -> Iterator[KafkaConsumer]:
    """Yield a consumer without a group, for a bootstrap address or settings."""
    consumer = KafkaConsumer(**_connection(kafka), metrics_enabled=False, auto_offset_reset="earliest")
    batches.read_all(consumer._fetcher)  # including poison, whose headers may not be text
    try:
        yield consumer
    finally:
        consumer.close()


@contextmanager
def _admin_of(kafka: str | Settings) -> Iterator[KafkaAdminClient]:
    admin = KafkaAdminClient(**_connection(kafka))
    try:
        yield admin
    finally:
        admin.close()


def _connection(kafka: str | Settings) -> dict[str, Any]:
    if isinstance(kafka, str):
        kafka = Settings(database_url="postgresql://unused", kafka_bootstrap=kafka)
    return kafka_connection(kafka)


def count_unread(kafka: str | Settings) -> dict[str, int]:
    """Return how many records of its topics each service has not processed yet, by the offsets of its group."""
    with consumer_of(kafka) as consumer, _admin_of(kafka) as admin:
        reached = admin.list_group_offsets(list(SERVICES))
        return {name: _beyond(consumer, _topics_of(consumer, name), reached.get(name, {})) for name in SERVICES}


def count_repeats(kafka: str | Settings) -> int:
    """Return how many records are equal to an earlier one of their topic, including the time of the event."""
    with consumer_of(kafka) as consumer:
        found = [TopicPartition(topic.name, part) for topic in TOPICS for part in _partitions(consumer, topic.name)]
        consumer.assign(found)
        return _repeats(consumer, consumer.end_offsets(found))


def _partitions(consumer: KafkaConsumer, topic: str) -> set[int]:
    return consumer.partitions_for_topic(topic) or set()


def _topics_of(consumer: KafkaConsumer, service: str) -> list[TopicPartition]:
    return [TopicPartition(topic, part) for topic in read_by(service) for part in _partitions(consumer, topic)]


def _beyond(consumer: KafkaConsumer, topics: list[TopicPartition], reached: Mapping[TopicPartition, Any]) -> int:
    first, end = consumer.beginning_offsets(topics), consumer.end_offsets(topics)
    at = {where: max(first[where], reached[where].offset if where in reached else 0) for where in topics}
    return sum(max(0, end[where] - at[where]) for where in topics)


def _repeats(consumer: KafkaConsumer, end: dict[TopicPartition, int]) -> int:
    seen: Counter[tuple[str, bytes | None]] = Counter()
    while any(consumer.position(where) < offset for where, offset in end.items()):
        for records in consumer.poll(timeout_ms=500).values():
            seen.update((record.topic, record.value) for record in records if record.value is not None)
    return seen.total() - len(seen)
