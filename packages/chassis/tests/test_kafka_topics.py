"""The topics command creates missing topics, and completes existing ones."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from support.broker import administering
from support.chassis import eventually

from oms_chassis.messaging.kafka import Changes, reconcile_topics
from oms_chassis.messaging.kafka.admin import DAY, RETENTION
from oms_chassis.settings import Settings, TopicSettings

URL = "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture
def admin(kafka: str) -> Iterator[KafkaAdminClient]:
    with administering(kafka) as client:
        yield client


@pytest.fixture
def name(admin: KafkaAdminClient) -> Iterator[str]:
    name = f"topic-{uuid4().hex}"
    yield name
    admin.delete_topics([one for one in admin.list_topics() if one.endswith(name)])


def settings(kafka: str, name: str, partitions: int, prefix: str = "", **config: str) -> Settings:
    wanted = {
        name: TopicSettings(partitions=partitions, config={key.replace("_", "."): v for key, v in config.items()})
    }
    return Settings(database_url=URL, kafka_bootstrap=kafka, kafka_topics=wanted, kafka_prefix=prefix)


def partitions(admin: KafkaAdminClient, name: str) -> int:
    return len(admin.describe_topics([name])[0]["partitions"])


def config(admin: KafkaAdminClient, name: str, key: str) -> str | None:
    found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])["topic"][name]
    value: str | None = found.get(key, {}).get("value")
    return value


def test_a_topic_is_created_as_configured_and_then_left_alone(kafka: str, name: str, admin: KafkaAdminClient) -> None:
    wanted = settings(kafka, name, 2, retention_ms="86400000")
    assert reconcile_topics(wanted) == Changes([name], [], [], [])
    eventually(lambda: config(admin, name, "retention.ms") == "86400000", within=30)
    assert partitions(admin, name) == 2
    assert config(admin, name, "min.insync.replicas") == "1"
    assert reconcile_topics(wanted) == Changes([], [], [], [])


def test_an_existing_topic_gets_more_partitions_and_other_settings(
    kafka: str, name: str, admin: KafkaAdminClient
) -> None:
    reconcile_topics(settings(kafka, name, 1, retention_ms="86400000", segment_bytes="1048576"))
    eventually(lambda: config(admin, name, "segment.bytes") == "1048576", within=30)
    assert reconcile_topics(settings(kafka, name, 3, retention_ms="3600000")) == Changes([], [name], [name], [])
    eventually(lambda: partitions(admin, name) == 3, within=30)
    eventually(lambda: config(admin, name, "retention.ms") == "3600000", within=30)
    assert config(admin, name, "segment.bytes") == "1048576"  # nobody said anything else


def test_a_topic_with_more_partitions_keeps_them_and_is_named(kafka: str, name: str, admin: KafkaAdminClient) -> None:
    reconcile_topics(settings(kafka, name, 3))
    eventually(lambda: partitions(admin, name) == 3, within=30)
    assert reconcile_topics(settings(kafka, name, 2)) == Changes([], [], [], [name])
    assert partitions(admin, name) == 3


def test_two_installations_have_separate_topics(kafka: str, name: str, admin: KafkaAdminClient) -> None:
    assert reconcile_topics(settings(kafka, name, 1, "staging.")).created == [f"staging.{name}"]
    assert reconcile_topics(settings(kafka, name, 1, "production.")).created == [f"production.{name}"]


def test_a_repetition_is_recognised_for_longer_than_a_topic_keeps_a_record() -> None:
    kept = sum(int(RETENTION[name]) for name in ("retention.ms", "segment.ms"))
    assert Settings.model_fields["inbox_days"].default * DAY > kept
