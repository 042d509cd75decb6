"""What stands in the topics of events."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from kafka import KafkaConsumer, TopicPartition

from oms_chassis.messaging.kafka import batches
from oms_chassis.messaging.kafka import connection as kafka_connection
from oms_chassis.settings import Settings
from oms_contracts.topics import TOPICS


@contextmanager
def consumer_of(kafka: str | Settings) -> Iterator[KafkaConsumer]:
    """A consumer that belongs to no group, by a bootstrap address or by settings."""
    if isinstance(kafka, str):
        kafka = Settings(database_url="postgresql://unused", kafka_bootstrap=kafka)
    consumer = KafkaConsumer(**kafka_connection(kafka), metrics_enabled=False, auto_offset_reset="earliest")
    batches.read_all(consumer._fetcher)  # also poison, whose headers may be no text
    try:
        yield consumer
    finally:
        consumer.close()


def count_repeats(kafka: str | Settings) -> int:
    """How many records say the same as an earlier one of their topic, the time of the event included."""
    with consumer_of(kafka) as consumer:
        found = [TopicPartition(topic.name, part) for topic in TOPICS for part in _partitions(consumer, topic.name)]
        consumer.assign(found)
        return _repeats(consumer, consumer.end_offsets(found))


def _partitions(consumer: KafkaConsumer, topic: str) -> set[int]:
    return consumer.partitions_for_topic(topic) or set()


def _repeats(consumer: KafkaConsumer, end: dict[TopicPartition, int]) -> int:
    seen: Counter[tuple[str, bytes | None]] = Counter()
    while any(consumer.position(where) < offset for where, offset in end.items()):
        for records in consumer.poll(timeout_ms=500).values():
            seen.update((record.topic, record.value) for record in records if record.value is not None)
    return seen.total() - len(seen)
