"""Assigns keys to partitions as Kafka's own clients do, so that all records of a key are in one partition, whichever
client wrote them.

kafka-python hashes byte by byte, and sorts a topic's partitions for each record. This hashes four bytes at a time.
"""

import struct
from typing import Any

from kafka.partitioner.default import DefaultPartitioner

_SEED, _FACTOR, _WORD = 0x9747B28C, 0x5BD1E995, 0xFFFFFFFF


class KeyPartitioner(DefaultPartitioner):  # type: ignore[misc] # kafka-python has no types
    """Puts each key into the partition that the default partitioner would choose, and leaves records without a key to
    it."""

    def partition(
        self, topic: str, key: Any, serialized_key: bytes | None, value: Any, serialized_value: Any, cluster: Any
    ) -> int:
        """Return the number of the partition; numbers start at 0 and have no gaps."""
        count = len(cluster.partitions_for_topic(topic) or ())
        if serialized_key is None or not count:
            number: int = super().partition(topic, key, serialized_key, value, serialized_value, cluster)
            return number
        return (murmur2(serialized_key) & 0x7FFFFFFF) % count


def murmur2(data: bytes) -> int:
    """Return the hash of Kafka's clients: MurmurHash2 with their seed, as an unsigned 32-bit number."""
    whole = len(data) & ~3
    value = _SEED ^ len(data)
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        mixed = word * _FACTOR & _WORD
        value = value * _FACTOR & _WORD ^ (mixed ^ mixed >> 24) * _FACTOR & _WORD
    if rest := data[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * _FACTOR & _WORD
    value = (value ^ value >> 13) * _FACTOR & _WORD
    return value ^ value >> 15
