"""A real broker with all topics."""

from collections.abc import Iterator

import pytest

from oms_chassis.messaging.kafka import KafkaSink, reconcile_topics
from oms_chassis.settings import Settings


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
