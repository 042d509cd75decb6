"""Helpers for tests on a real broker: topics, group members, and records."""

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import uuid4

import crc32c
from kafka.admin import KafkaAdminClient
from kafka.record.default_records import DefaultRecordBatchBuilder

from oms_chassis.messaging.kafka import KafkaSink, KafkaSource, reconcile_topics
from oms_chassis.messaging.streams import Outgoing, Record
from oms_chassis.settings import Settings, TopicSettings
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event
from oms_contracts.events import ItemUpdated
from oms_contracts.topics import ITEM_UPDATED, PAYMENT_FAILED
from support.chassis import eventually

TOPIC, OTHER = ITEM_UPDATED.name, PAYMENT_FAILED.name


def topics_of_its_own(bootstrap: str) -> Settings:
    """Return settings that give a test two topics of its own, with one partition each."""
    made = Settings(
        database_url="postgresql://nobody@127.0.0.1:1/none",
        kafka_bootstrap=bootstrap,
        kafka_prefix=f"{uuid4().hex}-",
        kafka_topics={name: TopicSettings(partitions=1, config={}) for name in (TOPIC, OTHER)},
    )
    reconcile_topics(made)
    return made


@contextmanager
def administering(bootstrap_servers: Any, **more: Any) -> Iterator[KafkaAdminClient]:
    """Yield an admin client of a broker."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers, **more)
    try:
        yield admin
    finally:
        admin.close()


def event(item: str) -> Event[Any]:
    """Return an event about an item."""
    data = ItemUpdated(item_id=item, name="A thing", unit_price=100, currency="USD", available=True, version=1)
    return ITEM_UPDATED.event(data, item)


def send(settings: Settings, items: Sequence[str]) -> None:
    """Send an event about each of these items."""
    sink = KafkaSink(settings)
    sink.send([Outgoing(TOPIC, item.encode(), event(item).encode().encode()) for item in items])
    sink.close()


def refused(metrics: Metrics) -> float | None:
    """Return how many topics a consumer may not read."""
    return metrics.registry.get_sample_value("oms_consumer_refused_topics")


def source(settings: Settings, group: str) -> KafkaSource:
    """Return a source that is a member of this group."""
    return KafkaSource(settings, group, [TOPIC])


def read(source: KafkaSource, key: bytes, count: int) -> list[Record]:
    """Wait for `count` records of a key, and return them."""
    found: list[Record] = []

    def all_there() -> bool:
        found.extend(record for record in source.poll(0.2) if record.key == key)
        return len(found) >= count

    eventually(all_there, within=30)
    return found


class Compressed(NamedTuple):
    """The records of a batch, compressed as by a client in another language."""

    codec: int
    compress: Callable[[bytes], bytes]


def batch(records: Sequence[Outgoing], codec: Compressed | None = None, name: bytes = b"name") -> bytes:
    """Return a batch in wire format, in which the header name "name" is replaced by `name`, of the same length."""
    builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1 << 30)
    for offset, record in enumerate(records):
        builder.append(offset, 1, record.key, record.value, list(record.headers))
    built = bytearray(builder.build()).replace(b"name", name)
    head, content = built[:61], bytes(built[61:])
    if codec is not None:
        content = codec.compress(content)
        struct.pack_into("!h", head, 21, codec.codec)
    made = head + content
    struct.pack_into("!i", made, 8, len(made) - 12)
    struct.pack_into("!I", made, 17, crc32c.crc32c(bytes(made[21:])))
    return bytes(made)
