"""Kafka through kafka-python: the only package that imports it."""

from oms_chassis.messaging.kafka.admin import Changes, create_topics, reconcile_topics
from oms_chassis.messaging.kafka.awaited import awaited
from oms_chassis.messaging.kafka.connection import connection
from oms_chassis.messaging.kafka.rewinding import GroupInUse, NoSuchPlace, rewind, skip
from oms_chassis.messaging.kafka.sink import KafkaSink
from oms_chassis.messaging.kafka.source import KafkaSource
from oms_chassis.messaging.streams import LETTER_LIMIT, RECORD_LIMIT

__all__ = [
    "LETTER_LIMIT",
    "RECORD_LIMIT",
    "Changes",
    "GroupInUse",
    "KafkaSink",
    "KafkaSource",
    "NoSuchPlace",
    "awaited",
    "connection",
    "create_topics",
    "reconcile_topics",
    "rewind",
    "skip",
]
