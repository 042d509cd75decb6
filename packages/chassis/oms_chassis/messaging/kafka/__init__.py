"""Kafka through kafka-python, which no other package imports."""

from oms_chassis.messaging.kafka.admin import Changes, reconcile_topics
from oms_chassis.messaging.kafka.awaited import awaited
from oms_chassis.messaging.kafka.connection import connection
from oms_chassis.messaging.kafka.rewinding import GroupInUse, NoSuchPlace, rewind, skip
from oms_chassis.messaging.kafka.sink import KafkaSink
from oms_chassis.messaging.kafka.source import KafkaSource

__all__ = [
    "Changes",
    "GroupInUse",
    "KafkaSink",
    "KafkaSource",
    "NoSuchPlace",
    "awaited",
    "connection",
    "reconcile_topics",
    "rewind",
    "skip",
]
