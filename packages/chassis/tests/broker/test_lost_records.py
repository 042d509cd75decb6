"""Records that are gone: deleted ones, and those of a topic that was deleted and recreated."""

import json
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
from kafka import TopicPartition
from support.broker import TOPIC, administering, refused, send
from support.chassis import eventually, running

from oms_chassis.db import Database, Transaction
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.messaging.kafka import KafkaSource, reconcile_topics
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.settings import Settings
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event
from oms_contracts.topics import ITEM_UPDATED

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def passed(
    own_topics: Settings,
    consume: Callable[[Settings], Any],
    applied: list[str],
    metrics: Metrics,
    logged: Callable[[], list[str]],
) -> Callable[[], Mapping[str, Any]]:
    """Let a process pass the only gap, after "read", and another one continue; return the one line about the gap."""

    def passed() -> Mapping[str, Any]:
        with consume(own_topics):
            eventually(lambda: applied == ["read", "left"])
            eventually(lambda: gaps(metrics) == 1)
        send(own_topics, ["later"])
        with consume(own_topics):  # goes on behind the gap, and says nothing of it
            eventually(lambda: applied == ["read", "left", "later"])
        (line,) = [json.loads(line) for line in logged() if "records_gone" in line]
        return dict(line)

    return passed


def test_records_that_were_deleted_before_they_were_read_are_logged_and_counted(
    own_topics: Settings,
    consume: Callable[[Settings], Any],
    applied: list[str],
    passed: Callable[[], Mapping[str, Any]],
) -> None:
    with consume(own_topics):
        send(own_topics, ["read"])
        eventually(lambda: applied == ["read"])
    send(own_topics, ["gone", "gone, too", "left"])
    with administering(own_topics.kafka_bootstrap) as admin:
        admin.delete_records({TopicPartition(f"{own_topics.kafka_prefix}{TOPIC}", 0): 3})
    line = passed()
    assert (line["topic"], line["partition"], line["offset"], line["beyond"]) == (TOPIC, 0, 1, 3)


def test_records_deleted_before_a_group_without_offsets_began_are_logged_once_and_counted(
    own_topics: Settings,
    consume: Callable[[Settings], Any],
    applied: list[str],
    passed: Callable[[], Mapping[str, Any]],
) -> None:
    """A broker deletes the offsets of a group without members after a week, and records of the same age, too."""
    with consume(own_topics):
        send(own_topics, ["read"])
        eventually(lambda: applied == ["read"])
    send(own_topics, ["gone", "left"])
    with administering(own_topics.kafka_bootstrap) as admin:
        admin.delete_groups([f"{own_topics.kafka_prefix}group"])
        admin.delete_records({TopicPartition(f"{own_topics.kafka_prefix}{TOPIC}", 0): 2})
    line = passed()
    assert (line["topic"], line["offset"], line["beyond"]) == (TOPIC, 0, 2)


def gaps(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("oms_consumer_gaps_total", {"topic": TOPIC})


def test_a_deleted_topic_is_named_and_is_read_once_it_exists_again(
    own_topics: Settings,
    consume: Callable[[Settings], Any],
    applied: list[str],
    metrics: Metrics,
    logged: Callable[[], list[str]],
) -> None:
    with consume(own_topics):
        send(own_topics, ["before"])
        eventually(lambda: applied == ["before"])
        with administering(own_topics.kafka_bootstrap) as admin:
            admin.delete_topics([f"{own_topics.kafka_prefix}{TOPIC}"])
        eventually(lambda: refused(metrics) == 1)
        reconcile_topics(own_topics)
        send(own_topics, ["after"])
        eventually(lambda: applied == ["before", "after"])
        eventually(lambda: refused(metrics) == 0)
    (line,) = [line for line in logged() if "topic_refused" in line]
    assert "UnknownTopicOrPartitionError" in line


def test_a_topic_that_is_recreated_during_a_turn_is_read_from_its_beginning(
    own_topics: Settings, database: Database, metrics: Metrics, applied: list[str], logged: Callable[[], list[str]]
) -> None:
    began, may_end = threading.Event(), threading.Event()

    def handle(_: Transaction, batch: list[Event[Any]]) -> None:
        began.set()
        assert may_end.wait(60)
        applied.extend(event.subject for event in batch)

    source = partial(KafkaSource, own_topics, "group", [TOPIC])
    with running(Consumer("test", database, [Subscription(ITEM_UPDATED, handle)], source, metrics)):
        send(own_topics, ["a", "b", "c"])
        assert began.wait(30)
        with administering(own_topics.kafka_bootstrap) as admin:
            admin.delete_topics([f"{own_topics.kafka_prefix}{TOPIC}"])
            eventually(lambda: f"{own_topics.kafka_prefix}{TOPIC}" not in admin.list_topics())
        reconcile_topics(own_topics)
        send(own_topics, later := [f"later-{number}" for number in range(10)])
        may_end.set()
        eventually(lambda: set(applied) >= {"a", *later}, within=60)
    assert len(applied) == len(set(applied))
    assert any("records_gone" in line for line in logged())
