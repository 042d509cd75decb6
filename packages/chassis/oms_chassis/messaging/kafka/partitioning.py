"""Which partition a key belongs to: as Kafka's own clients have it, so that one key's records are in one place whatever
client has written them.

kafka-python hashes byte by byte, and sorts a topic's partitions for each record. Here four bytes are taken at a time.
"""

import struct
from typing import Any

from kafka.partitioner.default import DefaultPartitioner

_SEED, _FACTOR, _WORD = 0x9747B28C, 0x5BD1E995, 0xFFFFFFFF


class KeyPartitioner(DefaultPartitioner):  # type: ignore[misc] # kafka-python has no types
    """Puts each key where the default partitioner puts it; a record without a key goes wherever that one says."""

    def partition(
        self, topic: str, key: Any, serialized_key: bytes | None, value: Any, serialized_value: Any, cluster: Any
    ) -> int:
        """The number of a topic's partition; numbers begin with 0 and leave none out."""
        count = len(cluster.partitions_for_topic(topic) or ())
        if serialized_key is None or not count:
            number: int = super().partition(topic, key, serialized_key, value, serialized_value, cluster)
            return number
        return (murmur2(serialized_key) & 0x7FFFFFFF) % count


def murmur2(data: bytes) -> int:
    """The hash of Kafka's clients: MurmurHash2 with their seed, as 32 bits without a sign."""
    whole = len(data) & ~3
    value = _SEED ^ len(data)
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        mixed = word * _FACTOR & _WORD
        value = value * _FACTOR & _WORD ^ (mixed ^ mixed >> 24) * _FACTOR & _WORD
    if rest := data[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * _FACTOR & _WORD
    value = (value ^ value >> 13) * _FACTOR & _WORD
    return value ^ value >> 15
