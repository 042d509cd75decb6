"""Topics are created as configured."""

from uuid import uuid4

import pytest
from kafka.admin import ConfigResource, ConfigResourceType
from support.broker import administering
from support.chassis import eventually

from oms_chassis.messaging.kafka import admin, reconcile_topics
from oms_chassis.settings import Settings
from oms_contracts import topics


def test_topics_are_created_once(settings: Settings) -> None:
    assert reconcile_topics(settings).created == []


def test_a_topic_needs_as_many_in_sync_replicas_as_the_setting_says(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"copies-{uuid4().hex}"
    monkeypatch.setattr(topics, "names", lambda: (name,))
    assert reconcile_topics(settings.model_copy(update={"kafka_min_in_sync": 2})).created == [name]
    with administering(settings.kafka_bootstrap) as admin:

        def needed() -> str | None:
            found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])["topic"][name]
            value: str | None = found.get("min.insync.replicas", {}).get("value")
            return value

        try:
            eventually(lambda: needed() == "2", within=30)  # the broker learns of it a moment after it took the order
        finally:
            admin.delete_topics([name])


@pytest.mark.parametrize(
    ("replication", "own", "expected"), [(1, None, "1"), (2, None, "1"), (3, None, "2"), (3, 3, "3")]
)
def test_topics_need_enough_in_sync_replicas_for_an_acknowledgement_to_be_safe(
    settings: Settings, replication: int, own: int | None, expected: str
) -> None:
    configured = settings.model_copy(update={"kafka_replication": replication, "kafka_min_in_sync": own})
    wanted = admin._wanted(configured)
    assert wanted.keys() == set(topics.names())
    assert {topic.config["min.insync.replicas"] for topic in wanted.values()} == {expected}
