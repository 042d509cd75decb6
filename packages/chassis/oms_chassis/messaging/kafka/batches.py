"""Reads batches of records, whatever they contain, so that none blocks its partition for good.

kafka-python 3.0.12 raises on a batch that has a header whose name is not UTF-8, and on one that it cannot decompress;
and it decompresses into memory without a limit. Brokers accept such batches, so a consumer would meet them again and
again.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any

from cramjam import gzip, lz4, snappy, zstd
from kafka import TopicPartition
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch

from oms_chassis.messaging.streams import Damage

BATCH_LIMIT = 32 * 1024 * 1024  # bytes of a decompressed batch: eight times what a topic accepts
UNREAD = "oms-unread-batch"  # the header of the record that replaces an unreadable batch
_XERIAL = b"\x82SNAPPY\x00"  # the magic bytes of Java's Snappy: blocks follow, each after its length


class DamagedBatch(Exception):
    """The checksum of a batch is wrong: a broker's disk or the network has changed it."""

    def __init__(self, where: TopicPartition, damage: Damage) -> None:
        super().__init__("the checksum of a batch is wrong")
        self.where, self.damage = where, damage


class _Readable(bytearray):
    """Bytes that are decoded with escapes for what is not UTF-8: `\\xff`."""

    def __getitem__(self, place: Any) -> Any:
        part = super().__getitem__(place)
        return _Readable(part) if isinstance(part, bytearray) else part

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)


class ReadableBatch(DefaultRecordBatch):  # type: ignore[misc] # kafka-python has no types
    """A batch that is read to its end, whatever it holds. One that cannot be decompressed is returned as a single
    record, whose value is the raw batch, and whose offset is the last one."""

    __slots__ = ()  # so that instances of the base class can become instances of this one

    def __iter__(self) -> Iterator[Any]:
        try:
            self._maybe_uncompress()
        except Exception as error:  # noqa: BLE001 - the libraries may raise anything for such bytes
            return iter([self._whole(error)])
        return self

    def validate_crc(self) -> bool:
        """Return True: `_ReadableRecords` has checked it."""
        return True

    # `self: Any` because mypy does not know the base class's attributes.
    def _maybe_uncompress(self: Any) -> None:
        if not self._decompressed and self.compression_type in _DECOMPRESS:
            content, plain = bytes(memoryview(self._buffer)[self._pos :]), bytearray(BATCH_LIMIT)
            size = _DECOMPRESS[self.compression_type](content, memoryview(plain))
            self._buffer, self._pos, self._decompressed = plain[:size], 0, True
        super()._maybe_uncompress()

    def _read_msg(self: Any, *args: Any) -> Any:
        try:
            return super()._read_msg(*args)
        except UnicodeDecodeError:
            self._buffer = _Readable(self._buffer)
            return super()._read_msg(*args)

    def _whole(self, error: Exception) -> Any:
        content, why = bytes(self._buffer), f"{type(error).__name__}: {self.records_count} records".encode()
        return DefaultRecord(
            len(content), self.last_offset, self.max_timestamp, self.timestamp_type, None, content, [(UNREAD, why)]
        )


class _ReadableRecords:
    """The records of a fetch, as batches that can be read."""

    def __init__(self, where: TopicPartition, records: MemoryRecords) -> None:
        self._where, self._records = where, records

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        if isinstance(batch, DefaultRecordBatch):
            if not is_sound(batch):
                raise DamagedBatch(self._where, Damage(batch.base_offset, batch.next_offset))
            batch.__class__ = ReadableBatch
        return batch


def is_sound(batch: DefaultRecordBatch) -> bool:
    """Whether the checksum of a batch is right."""
    return bool(batch.validate_crc())


def read_all(fetcher: Any) -> None:
    """Make a consumer's fetcher read every batch."""
    usual = fetcher.PartitionRecords

    def partition_records(offset: int, where: Any, records: MemoryRecords, **more: Any) -> Any:
        return usual(offset, where, _ReadableRecords(where, records), **more)

    fetcher.PartitionRecords = partition_records


def forget(fetcher: Any, where: TopicPartition) -> None:
    """Drop the fetched data of a partition: the library keeps what it could not read, and fetches nothing new."""
    held = vars(fetcher)
    for parked in ("_paused_partition_records", "_paused_completed_fetches"):
        held[parked].pop(where, None)
    current = held["_next_partition_records"]
    if current is not None and current.topic_partition == where:
        current.drain()
        held["_next_partition_records"] = None


def _snappy(content: bytes, into: memoryview) -> int:
    if not content.startswith(_XERIAL):
        return snappy.decompress_raw_into(content, into)
    place, size = 16, 0
    while place < len(content):
        (length,) = struct.unpack_from("!I", content, place)
        place += 4
        size += snappy.decompress_raw_into(content[place : place + length], into[size:])
        place += length
    return size


# Each raises if the output does not fit.
_DECOMPRESS: dict[int, Callable[[bytes, memoryview], int]] = {
    DefaultRecordBatch.CODEC_GZIP: gzip.decompress_into,
    DefaultRecordBatch.CODEC_SNAPPY: _snappy,
    DefaultRecordBatch.CODEC_LZ4: lz4.decompress_into,
    DefaultRecordBatch.CODEC_ZSTD: zstd.decompress_into,
}
