"""Batches of records as they are on the wire, none of which may hold its partition for good.

kafka-python 3.0.12 gives up on a batch with a header whose name is not UTF-8, and on one that it cannot decompress; and
it decompresses whatever comes, into memory. A broker takes such batches, so that a consumer meets them again and again.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any

from cramjam import gzip, lz4, snappy, zstd
from kafka import TopicPartition
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch

from oms_chassis.messaging.streams import Damage

BATCH_LIMIT = 32 * 1024 * 1024  # bytes that a batch may come to, decompressed: eight times what a topic takes
UNREAD = "oms-unread-batch"  # the header of the record in place of a batch that nobody can read
_XERIAL = b"\x82SNAPPY\x00"  # how Java's Snappy begins: blocks follow, each behind its length


class DamagedBatch(Exception):
    """The checksum of a batch is wrong: a broker's disk has changed it, or the way here."""

    def __init__(self, where: TopicPartition, damage: Damage) -> None:
        super().__init__("the checksum of a batch is wrong")
        self.where, self.damage = where, damage


class _Readable(bytearray):
    """What is no text in it is shown as such: `\\xff`."""

    def __getitem__(self, place: Any) -> Any:
        part = super().__getitem__(place)
        return _Readable(part) if isinstance(part, bytearray) else part

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)


class ReadableBatch(DefaultRecordBatch):  # type: ignore[misc] # kafka-python has no types
    """A batch that is read to its end, whatever it holds. One that cannot be decompressed comes as a single record: its
    value is the batch as it is, and its offset is the last one."""

    __slots__ = ()  # so that what was made as its base class can become one of these

    def __iter__(self) -> Iterator[Any]:
        try:
            self._maybe_uncompress()
        except Exception as error:  # noqa: BLE001 - whatever the libraries raise over bytes that are not theirs
            return iter([self._whole(error)])
        return self

    def validate_crc(self) -> bool:
        """Was done before this."""
        return True

    # Whose attributes these are, mypy cannot know.
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
    """What a fetch brought, as batches that can be read."""

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
    """Whether a batch is what its producer sent."""
    return bool(batch.validate_crc())


def read_all(fetcher: Any) -> None:
    """Let a consumer's fetcher read every batch."""
    usual = fetcher.PartitionRecords

    def partition_records(offset: int, where: Any, records: MemoryRecords, **more: Any) -> Any:
        return usual(offset, where, _ReadableRecords(where, records), **more)

    fetcher.PartitionRecords = partition_records


def forget(fetcher: Any, where: TopicPartition) -> None:
    """Let go of what was fetched of a partition: the library keeps what it could not read, and fetches nothing new."""
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


# Each fails when there is no room for what comes out.
_DECOMPRESS: dict[int, Callable[[bytes, memoryview], int]] = {
    DefaultRecordBatch.CODEC_GZIP: gzip.decompress_into,
    DefaultRecordBatch.CODEC_SNAPPY: _snappy,
    DefaultRecordBatch.CODEC_LZ4: lz4.decompress_into,
    DefaultRecordBatch.CODEC_ZSTD: zstd.decompress_into,
}
