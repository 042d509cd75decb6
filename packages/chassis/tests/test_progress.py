"""Whether a consumer has kept up depends on its whole group, on a real broker: other members may be behind."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from kafka import TopicPartition
from prometheus_client import CollectorRegistry
from support.broker import administering
from support.chassis import eventually, running

from oms_chassis.db import Database
from oms_chassis.messaging import progress
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.messaging.faults import SystemicFault
from oms_chassis.messaging.kafka import KafkaSink, KafkaSource, reconcile_topics
from oms_chassis.messaging.streams import Outgoing, Reached, next_offsets
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.settings import Settings, TopicSettings
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event
from oms_contracts.events import ItemUpdated
from oms_contracts.topics import ITEM_UPDATED
from oms_servers.kafka import KafkaServer

TOPIC, WHERE = ITEM_UPDATED.name, (ITEM_UPDATED.name, 0)
pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def settings(kafka: str) -> Settings:
    """Settings of a broker with one topic, which belongs to this test and has one partition."""
    made = Settings(
        database_url="postgresql://nobody@127.0.0.1:1/none",
        kafka_bootstrap=kafka,
        kafka_prefix=f"{uuid4().hex}-",
        kafka_topics={TOPIC: TopicSettings(partitions=1)},
    )
    reconcile_topics(made)
    return made


@pytest.fixture
def send(settings: Settings) -> Iterator[Callable[..., None]]:
    sink = KafkaSink(settings)

    def send(*items: str) -> None:
        sink.send([Outgoing(TOPIC, item.encode(), _event(item).encode().encode()) for item in items])

    yield send
    sink.close()


def _event(item: str) -> Event[Any]:
    data = ItemUpdated(item_id=item, name="A thing", unit_price=100, currency="USD", available=True, version=1)
    return ITEM_UPDATED.event(data, item)


def member(settings: Settings, database: Database, handle: Callable[..., None]) -> Consumer:
    metrics, source = Metrics(CollectorRegistry()), partial(KafkaSource, settings, "group", [TOPIC])
    return Consumer("test", database, [Subscription(ITEM_UPDATED, handle)], source, metrics)


def nothing(*_: Any) -> None:
    """Apply all events."""


class Paused:
    """A handler that applies nothing until it is repaired."""

    def __init__(self) -> None:
        self.calls, self.is_repaired = 0, False

    def __call__(self, *_: Any) -> None:
        self.calls += 1
        if not self.is_repaired:
            raise SystemicFault("UndefinedColumn")


def test_a_member_without_partitions_has_not_kept_up_while_another_is_paused(
    settings: Settings, database: Database, send: Callable[..., None]
) -> None:
    handle, found = Paused(), list[float]()
    first, spare = member(settings, database, handle), member(settings, database, nothing)

    def is_paused_for_long() -> bool:
        found.append(spare.kept_up())
        return handle.calls >= before + 3

    with running(first):
        send("a")
        eventually(lambda: handle.calls)
        with running(spare):
            eventually(lambda: spare.is_ready)
            before = handle.calls
            eventually(is_paused_for_long)
            assert set(found) == {0.0}
            handle.is_repaired = True
            eventually(lambda: spare.kept_up() > 0.0)
            eventually(lambda: first.kept_up() > 0.0)


def test_a_group_that_has_read_everything_keeps_up_while_more_comes_and_is_read(
    settings: Settings, database: Database, send: Callable[..., None]
) -> None:
    only = member(settings, database, nothing)

    def has_kept_up() -> bool:
        send("a")
        return only.kept_up() > 3 * progress.LOOK

    with running(only):
        eventually(has_kept_up)


def test_a_group_that_has_nothing_to_read_has_kept_up(
    settings: Settings, database: Database, send: Callable[..., None]
) -> None:
    """Even if everything was deleted before the group could read it, and there is nothing to commit."""
    send("a", "b")
    with administering(settings.kafka_bootstrap) as admin:
        admin.delete_records({TopicPartition(f"{settings.kafka_prefix}{TOPIC}", 0): 2})
    only = member(settings, database, nothing)
    with running(only):
        eventually(lambda: only.kept_up() > 0.0)


def test_a_source_reports_how_far_its_group_has_got(settings: Settings, send: Callable[..., None]) -> None:
    source = KafkaSource(settings, "group", [TOPIC])
    send("a", "b", "c")
    records = eventually(lambda: source.poll(0.2))
    assert eventually(lambda: (source.poll(0.2), source.reached())[1]) == {WHERE: Reached(0, 3)}
    source.commit(next_offsets(records[:2]))
    eventually(lambda: (source.poll(0.2), source.reached() == {WHERE: Reached(2, 3)})[1])
    source.close()


def test_a_recreated_topic_is_unread_whatever_was_committed_for_the_old_one(
    settings: Settings, send: Callable[..., None]
) -> None:
    source = KafkaSource(settings, "group", [TOPIC])
    send("a", "b")
    source.commit({WHERE: 9})
    eventually(lambda: (source.poll(0.2), source.reached() == {WHERE: Reached(0, 2)})[1])
    source.close()


def test_nobody_waits_for_a_broker_that_does_not_report_how_far_the_group_has_got(
    settings: Settings, kafka_server: KafkaServer
) -> None:
    assert kafka_server.pid
    source = KafkaSource(settings, "group", [TOPIC])
    eventually(lambda: (source.poll(0.2), source.reached())[1])
    os.kill(kafka_server.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        answers = [source.reached() for _ in range(100)]
        assert time.monotonic() - began < 1.0
        assert not any(answers)
        eventually(lambda: (source.poll(0.2), source.silence() > 7.0)[1])
        assert source.reached() is None
    finally:
        os.kill(kafka_server.pid, signal.SIGCONT)
    eventually(lambda: (source.poll(0.2), source.reached())[1], within=60)
    source.close()
