"""Settings of a topic: the size of its records, and what it contains apart from records."""

from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from kafka import KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from support.broker import TOPIC, administering, event
from support.chassis import eventually, running

from oms_chassis.db import Database
from oms_chassis.messaging import outbox, progress
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.messaging.kafka import KafkaSink, KafkaSource
from oms_chassis.messaging.relay import Relay
from oms_chassis.messaging.streams import BATCH, Outgoing
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.settings import Settings
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.topics import ITEM_UPDATED

pytestmark = pytest.mark.timeout(180)


def test_a_group_has_kept_up_if_a_topic_ends_with_a_transaction_marker(
    own_topics: Settings, database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LOOK", 0.2)
    bootstrap, name = own_topics.kafka_bootstrap, uuid4().hex
    producer = KafkaProducer(bootstrap_servers=bootstrap, transactional_id=name, enable_idempotence=True, acks="all")
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(f"{own_topics.kafka_prefix}{TOPIC}", key=b"a", value=event("a").encode().encode())
    producer.commit_transaction()
    producer.close(10)
    source = partial(KafkaSource, own_topics, "group", [TOPIC])
    consumer = Consumer("test", database, [Subscription(ITEM_UPDATED, lambda *_: None)], source, metrics)
    with running(consumer):
        eventually(lambda: consumer.kept_up() > 1.0)


def test_if_a_topic_accepts_less_than_a_batch_its_events_are_sent_in_parts_and_in_order(
    own_topics: Settings, database: Database, metrics: Metrics
) -> None:
    """1.5 MB for one partition are sent as several batches at once."""
    topic, size = f"{own_topics.kafka_prefix}{TOPIC}", 3000
    with administering(own_topics.kafka_bootstrap) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": "100000"})])
        eventually(lambda: config(admin, topic, "max.message.bytes") == "100000")
    values = [f"{number:0{size}}".encode() for number in range(BATCH)]
    with database.transaction() as transaction:
        outbox.emit_records(transaction, [Outgoing(TOPIC, b"key", value) for value in values])
    with running(Relay(database, KafkaSink(own_topics), metrics)):
        eventually(lambda: not outbox.pending(database, 1), within=100)
    reader, found = KafkaSource(own_topics, "group", [TOPIC]), list[bytes | None]()

    def all_there() -> bool:
        found.extend(record.value for record in reader.poll(0.2))
        return set(found) >= set(values)

    eventually(all_there)
    reader.close()
    assert list(dict.fromkeys(found)) == values
    assert not database.execute("SELECT FROM outbox_quarantine")


def config(admin: KafkaAdminClient, topic: str, name: str) -> Any:
    found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])["topic"][topic]
    return found[name]["value"]
