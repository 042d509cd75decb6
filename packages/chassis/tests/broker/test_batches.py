"""Batches that other clients send, and that disks damage."""

import struct
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from cramjam import gzip, lz4, snappy, zstd
from incidents.poison import NO_TEXT, send
from kafka import KafkaProducer, TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.record import MemoryRecords
from support.broker import TOPIC, Compressed, batch, read, source
from support.chassis import eventually

from oms_chassis.messaging.kafka import KafkaSink, batches, unread
from oms_chassis.messaging.kafka.batches import DamagedBatch
from oms_chassis.messaging.streams import (
    Damage,
    Outgoing,
    Record,
)
from oms_chassis.settings import Settings


def by_partition(settings: Settings, keys: Sequence[bytes]) -> dict[int, set[bytes | None]]:
    """Group these keys by partition."""
    reader, found = source(settings, uuid4().hex), list[Record]()

    def all_there() -> bool:
        found.extend(record for record in reader.poll(0.2) if record.key in keys)
        return len(found) >= len(keys)

    eventually(all_there)
    reader.close()
    return {number: {one.key for one in found if one.partition == number} for number in {r.partition for r in found}}


def xerial(content: bytes) -> bytes:
    """Compress like Java's Snappy: in blocks."""
    blocks = [bytes(snappy.compress_raw(content[at : at + 32768])) for at in range(0, len(content), 32768)]
    return b"\x82SNAPPY\0" + struct.pack("!ii", 1, 1) + b"".join(struct.pack("!i", len(b)) + b for b in blocks)


CODECS = {
    "gzip": Compressed(1, lambda content: bytes(gzip.compress(content))),
    "snappy": Compressed(2, lambda content: bytes(snappy.compress_raw(content))),
    "xerial": Compressed(2, xerial),
    "lz4": Compressed(3, lambda content: bytes(lz4.compress(content))),
    "zstd": Compressed(4, lambda content: bytes(zstd.compress(content))),
}


def read_batches(*raw: bytes) -> list[Any]:
    """Read batches with a consumer's fetcher."""
    fetcher = SimpleNamespace(PartitionRecords=Fetcher.PartitionRecords)
    batches.read_all(fetcher)
    return list(fetcher.PartitionRecords(0, TopicPartition(TOPIC, 0), MemoryRecords(b"".join(raw))).take())


@pytest.mark.parametrize("codec", [None, *CODECS.values()], ids=["plain", *CODECS])
def test_a_header_whose_name_is_not_utf_8_is_read_however_its_batch_is_compressed(codec: Compressed | None) -> None:
    odd = Outgoing(TOPIC, b"odd", b"value" * 20_000, [("name", b"\xff"), ("name", None)])
    first, second, third = read_batches(
        batch([Outgoing(TOPIC, b"a", b"1"), odd, Outgoing(TOPIC, b"b", b"2")], codec, b"\xffam\xfe")
    )
    assert (first.key, third.key) == (b"a", b"b")
    assert (second.key, second.value) == (odd.key, odd.value)
    assert second.headers == [("\\xffam\\xfe", b"\xff"), ("\\xffam\\xfe", None)]


@pytest.mark.parametrize("codec", [None, "gzip"])
def test_batches_that_only_other_clients_send_are_read_from_the_broker(settings: Settings, codec: str | None) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap, compression_type=codec)
    key = uuid4().bytes
    for value, name in ((b"1", "a"), (b"2", NO_TEXT), (b"3", "b")):
        send(producer, TOPIC, (key, value * 1000, [(name, b"h")]))
    producer.flush(30)
    producer.close(10)
    reader = source(settings, uuid4().hex)
    found = read(reader, key, 3)
    assert [record.value for record in found] == [b"1" * 1000, b"2" * 1000, b"3" * 1000]
    assert [name for record in found for name, _ in record.headers] == ["a", "\\xff\\xfe", "b"]
    reader.close()


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@pytest.mark.parametrize("what", ["garbage", "bomb"])
def test_a_batch_that_cannot_be_decompressed_is_returned_raw_and_later_ones_are_read(
    codec: Compressed, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_LIMIT", 1024)
    records = [Outgoing(TOPIC, None, b"x" * 1000), Outgoing(TOPIC, None, b"x" * 1000)]
    broken = batch(records, codec if what == "bomb" else codec._replace(compress=lambda _: b"\x82SNAPPY no codec's"))
    whole, behind = read_batches(broken, batch([Outgoing(TOPIC, b"behind", b"it")]))
    assert (whole.key, whole.value, whole.offset) == (None, broken, 1)
    ((name, why),) = whole.headers
    assert name == batches.UNREAD
    assert why.endswith(b"2 records")
    assert behind.key == b"behind"


def test_a_batch_with_a_wrong_checksum_is_named_and_nothing_after_it_is_read() -> None:
    broken = bytearray(batch([Outgoing(TOPIC, b"a", b"x"), Outgoing(TOPIC, b"b", b"y")]))
    broken[-1] ^= 1
    with pytest.raises(DamagedBatch) as found:
        read_batches(bytes(broken), batch([Outgoing(TOPIC, b"behind", b"it")]))
    assert (found.value.where, found.value.damage) == (TopicPartition(TOPIC, 0), Damage(0, 2))


def test_a_damaged_batch_holds_up_only_its_partition_until_it_is_intact_again(
    settings: Settings, sink: KafkaSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unread, "REST", 0.2)
    keys = [uuid4().bytes for _ in range(100)]  # as good as never without one in each partition
    sink.send([Outgoing(TOPIC, key, b"x") for key in keys])
    reader = source(settings, uuid4().hex)
    places = by_partition(settings, keys)
    assert len(places) == 3
    damaged = min(places)
    sound = batches.is_sound

    def is_sound(batch: Any) -> bool:
        return not any(key and key in bytes(batch._buffer) for key in places[damaged]) and sound(batch)

    monkeypatch.setattr(batches, "is_sound", is_sound)
    found: list[Record] = []

    def read_on() -> set[int]:
        found.extend(one for one in reader.poll(0.2) if one.key in keys)
        return {one.partition for one in found}

    eventually(lambda: (read_on(), reader.damaged())[1])
    assert list(reader.damaged()) == [(TOPIC, damaged)]
    eventually(lambda: read_on() >= places.keys() - {damaged})
    assert damaged not in read_on()
    monkeypatch.setattr(batches, "is_sound", sound)
    eventually(lambda: damaged in read_on())
    assert reader.damaged() == {}
    reader.close()
