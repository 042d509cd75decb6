"""The topics that a broker must have."""

from typing import Any

from kafka import KafkaAdminClient

from oms_chassis.messaging.kafka.connection import closed_on_error, connection, unavailable_on_error
from oms_chassis.messaging.streams import LETTER_LIMIT, RECORD_LIMIT
from oms_chassis.settings import Settings
from oms_contracts import topics


def create_topics(settings: Settings) -> list[str]:
    """Create the topics that are missing; their names."""
    with unavailable_on_error(), closed_on_error() as client:
        admin = KafkaAdminClient(**connection(settings), kafka_client=client)
        try:
            missing = sorted(set(topics.names()) - set(admin.list_topics()))
            if missing:
                admin.create_topics({name: _topic(settings, name) for name in missing})
            return missing
        finally:
            admin.close()


def _topic(settings: Settings, name: str) -> dict[str, Any]:
    events = {topic.name: topic for topic in topics.TOPICS}
    compacted = name in events and events[name].compacted
    return {
        "num_partitions": settings.kafka_partitions,
        "replication_factor": settings.kafka_replication,
        "configs": {
            "cleanup.policy": "compact" if compacted else "delete",
            "max.message.bytes": str(RECORD_LIMIT if name in events else LETTER_LIMIT),
            # With fewer, an event that `acks=all` acknowledged could be lost with one broker.
            "min.insync.replicas": str(settings.kafka_min_in_sync or max(1, settings.kafka_replication - 1)),
        },
    }
