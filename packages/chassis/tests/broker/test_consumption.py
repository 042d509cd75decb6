"""The consumer on a real broker."""

import threading
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

from kafka import KafkaProducer
from prometheus_client import CollectorRegistry
from support.broker import TOPIC, source
from support.chassis import eventually

from oms_chassis.db import Database, Transaction
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.messaging.kafka import KafkaSink
from oms_chassis.messaging.relay import Relay
from oms_chassis.messaging.streams import (
    RECORD_LIMIT,
    Outgoing,
)
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.settings import Settings
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event
from oms_contracts.events import ItemUpdated
from oms_contracts.topics import ITEM_UPDATED


def test_a_consumer_processes_what_the_real_broker_delivers(
    settings: Settings, sink: KafkaSink, database: Database
) -> None:
    key = uuid4().hex
    events: list[Event[Any]] = []

    def handle(_: Transaction, batch: list[Event[Any]]) -> None:
        events.extend(one for one in batch if one.subject == key)

    data = ItemUpdated(item_id=key, name="A", unit_price=1, currency="USD", available=True, version=1)
    sent = [ITEM_UPDATED.event(data, key) for _ in range(20)]
    sink.send([Outgoing(TOPIC, key.encode(), one.encode().encode()) for one in (*sent, *sent)])
    group = uuid4().hex
    consumer = Consumer(
        "test",
        database,
        [Subscription(ITEM_UPDATED, handle)],
        lambda: source(settings, group),
        Metrics(CollectorRegistry()),
    )
    thread = threading.Thread(target=consumer.run)
    thread.start()
    try:
        eventually(lambda: len(events) >= 20, within=30)
        assert consumer.is_ready
    finally:
        consumer.stop()
        thread.join(15)
    assert events == sent


def test_records_that_fit_their_topic_only_compressed_become_dead_letters_and_the_others_are_processed(
    settings: Settings, sink: KafkaSink, database: Database, metrics: Metrics
) -> None:
    key = uuid4().hex
    events: list[Event[Any]] = []
    data = ItemUpdated(item_id=key, name="A", unit_price=1, currency="USD", available=True, version=1)
    good = [ITEM_UPDATED.event(data, key) for _ in range(3)]
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap, compression_type="gzip", max_request_size=40_000_000
    )
    for event, size in zip(good, (RECORD_LIMIT + 1, 6_000_000, 25_000_000), strict=True):
        producer.send(TOPIC, key=key.encode(), value=event.encode().encode()).get(30)
        producer.send(TOPIC, key=key.encode(), value=b"x" * size).get(30)
    producer.close(10)
    group = uuid4().hex
    handled = Subscription(ITEM_UPDATED, lambda _, batch: events.extend(one for one in batch if one.subject == key))
    consumer = Consumer("order", database, [handled], lambda: source(settings, group), metrics)
    relay = Relay(database, sink, metrics)
    ours = "SELECT FROM dead_letter WHERE key = %(key)s"
    with ExitStack() as ends:
        for loop in (consumer, relay):
            thread = threading.Thread(target=loop.run)
            thread.start()
            ends.callback(thread.join, 30)
            ends.callback(loop.stop)
        eventually(lambda: len(database.execute(ours, key=key.encode())) == 3, within=60)
        eventually(lambda: len(events) == 3 and not database.execute("SELECT FROM outbox"), within=60)
    assert events == good
    assert not database.execute("SELECT FROM outbox_quarantine")
