"""A real broker with all topics, and a consumer of topics that belong to one test."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from support.broker import OTHER, TOPIC, topics_of_its_own
from support.chassis import running

from oms_chassis.db import Database, Transaction
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.messaging.kafka import KafkaSink, KafkaSource, reconcile_topics
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.settings import Settings
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event
from oms_contracts.topics import ITEM_UPDATED, PAYMENT_FAILED


@pytest.fixture
def settings(kafka: str) -> Settings:
    made = Settings(database_url="postgresql://nobody@127.0.0.1:1/none", kafka_bootstrap=kafka)
    reconcile_topics(made)
    return made


@pytest.fixture
def sink(settings: Settings) -> Iterator[KafkaSink]:
    sink = KafkaSink(settings)
    yield sink
    sink.close()


@pytest.fixture
def own_topics(kafka: str) -> Settings:
    return topics_of_its_own(kafka)


@pytest.fixture
def applied() -> list[str]:
    """Return the items of the events that were applied."""
    return []


@pytest.fixture
def consume(database: Database, metrics: Metrics, applied: list[str]) -> Callable[[Settings], Any]:
    """A consumer of both topics, while a block runs."""

    def handle(_: Transaction, batch: list[Event[Any]]) -> None:
        applied.extend(event.subject for event in batch)

    subscriptions = [Subscription(ITEM_UPDATED, handle), Subscription(PAYMENT_FAILED, handle)]

    def consume(settings: Settings) -> Any:
        source = partial(KafkaSource, settings, "group", [TOPIC, OTHER])
        return running(Consumer("test", database, subscriptions, source, metrics))

    return consume
