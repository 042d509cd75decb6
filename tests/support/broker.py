"""Members of groups, and records, on a real broker."""

import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

import crc32c
from kafka.record.default_records import DefaultRecordBatchBuilder

from oms_chassis.messaging.kafka import KafkaSource
from oms_chassis.messaging.streams import Outgoing, Record
from oms_chassis.settings import Settings
from oms_contracts.topics import ITEM_UPDATED
from support.chassis import eventually

TOPIC = ITEM_UPDATED.name


def source(settings: Settings, group: str) -> KafkaSource:
    """A member of this group."""
    return KafkaSource(settings, group, [TOPIC])


def read(source: KafkaSource, key: bytes, count: int) -> list[Record]:
    """So many records of a key, as soon as they are there."""
    found: list[Record] = []

    def all_there() -> bool:
        found.extend(record for record in source.poll(0.2) if record.key == key)
        return len(found) >= count

    eventually(all_there, within=30)
    return found


class Compressed(NamedTuple):
    """A batch as a client of another language would send it."""

    codec: int
    compress: Callable[[bytes], bytes]


def batch(records: Sequence[Outgoing], codec: Compressed | None = None, name: bytes = b"name") -> bytes:
    """A batch on the wire; a header's name "name" becomes `name`, of the same length."""
    builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1 << 30)
    for offset, record in enumerate(records):
        builder.append(offset, 1, record.key, record.value, list(record.headers))
    built = bytearray(builder.build()).replace(b"name", name)
    head, content = built[:61], bytes(built[61:])
    if codec is not None:
        content = codec.compress(content)
        struct.pack_into("!h", head, 21, codec.codec)
    made = head + content
    struct.pack_into("!i", made, 8, len(made) - 12)
    struct.pack_into("!I", made, 17, crc32c.crc32c(bytes(made[21:])))
    return bytes(made)
