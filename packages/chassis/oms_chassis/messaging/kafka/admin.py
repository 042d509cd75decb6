"""Creates the topics that the services need, and reconfigures those that exist."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from oms_chassis.messaging.kafka.connection import closed_on_error, connection, unavailable_on_error
from oms_chassis.messaging.streams import LETTER_LIMIT, RECORD_LIMIT
from oms_chassis.settings import Settings, TopicSettings
from oms_contracts import topics

DAY = 24 * 3600 * 1000  # milliseconds
# Records hold customers' data, and must not stay. Kafka deletes whole segments only, and never the one that it still
# writes to. The broker's clock decides how old a record is. By a sender's that is wrong, the record would be refused,
# deleted too early, or missed by a group that is set back to a time.
RETENTION = {"retention.ms": str(7 * DAY), "segment.ms": str(DAY), "message.timestamp.type": "LogAppendTime"}


@dataclass(frozen=True)
class Changes:
    """The changes that were made, by name of topic. `larger` topics have more partitions than they should: Kafka cannot
    remove any."""

    created: list[str]
    grown: list[str]
    configured: list[str]
    larger: list[str]


def reconcile_topics(settings: Settings) -> Changes:
    """Create the missing topics. If the settings name topics, also give existing ones the partitions and settings that
    they lack; otherwise, existing ones stay as they are."""
    with _administration(settings) as admin:
        wanted = _wanted(settings)
        created = _create(admin, settings, wanted)
        theirs = {name: topic for name, topic in wanted.items() if name not in created}
        if settings.kafka_topics is None:
            return Changes(created, [], [], [])
        sizes = _sizes(admin, theirs)
        grown = sorted(name for name, topic in theirs.items() if sizes[name] < topic.partitions)
        if grown:
            admin.create_partitions({name: theirs[name].partitions for name in grown})
        larger = sorted(name for name, topic in theirs.items() if sizes[name] > topic.partitions)
        return Changes(created, grown, _configure(admin, theirs), larger)


@contextmanager
def _administration(settings: Settings) -> Iterator[KafkaAdminClient]:
    with unavailable_on_error(), closed_on_error() as client:
        admin = KafkaAdminClient(**connection(settings), kafka_client=client)
        try:
            yield admin
        finally:
            admin.close()


def _wanted(settings: Settings) -> dict[str, TopicSettings]:
    """Return all topics, by their names at the broker."""
    # With fewer in-sync replicas, the loss of one broker could lose an event that `acks=all` acknowledged.
    safe = {"min.insync.replicas": str(settings.kafka_min_in_sync or max(1, settings.kafka_replication - 1))}
    wanted = settings.kafka_topics or {name: _by_contract(settings, name) for name in topics.names()}
    return {
        f"{settings.kafka_prefix}{name}": TopicSettings(partitions=topic.partitions, config=safe | topic.config)
        for name, topic in wanted.items()
    }


def _by_contract(settings: Settings, name: str) -> TopicSettings:
    events = {topic.name: topic for topic in topics.TOPICS}
    config = {
        "cleanup.policy": "compact" if name in events and events[name].compacted else "delete",
        "max.message.bytes": str(RECORD_LIMIT if name in events else LETTER_LIMIT),
        **RETENTION,
    }
    return TopicSettings(partitions=settings.kafka_partitions, config=config)


def _create(admin: KafkaAdminClient, settings: Settings, wanted: Mapping[str, TopicSettings]) -> list[str]:
    missing = sorted(wanted.keys() - set(admin.list_topics()))
    if missing:
        admin.create_topics({name: _new(settings, wanted[name]) for name in missing})
    return missing


def _new(settings: Settings, topic: TopicSettings) -> dict[str, Any]:
    return {
        "num_partitions": topic.partitions,
        "replication_factor": settings.kafka_replication,
        "configs": topic.config,
    }


def _sizes(admin: KafkaAdminClient, names: Mapping[str, TopicSettings]) -> dict[str, int]:
    """Return how many partitions each topic has."""
    found = admin.describe_topics(sorted(names)) if names else []
    return {topic["name"]: len(topic["partitions"]) for topic in found}


def _configure(admin: KafkaAdminClient, wanted: Mapping[str, TopicSettings]) -> list[str]:
    """Set what differs; settings that `wanted` does not name stay as they are."""
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in wanted]
    found = admin.describe_configs(asked).get("topic", {}) if asked else {}
    changes = {name: _differing(topic, found.get(name, {})) for name, topic in wanted.items()}
    changed = sorted(name for name, settings in changes.items() if settings)
    if changed:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, changes[name]) for name in changed])
    return changed


def _differing(topic: TopicSettings, found: Mapping[str, Any]) -> dict[str, str]:
    return {key: value for key, value in topic.config.items() if found.get(key, {}).get("value") != value}
