"""The real broker behaves as a consumer and a relay expect."""

import gc
import logging
import os
import signal
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import uuid4

import crc32c
import pytest
from cramjam import gzip, lz4, snappy, zstd
from incidents.poison import NO_TEXT, send
from kafka import KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CommitFailedError, KafkaTimeoutError, RebalanceInProgressError
from kafka.producer.producer_batch import ProducerBatch
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecordBatchBuilder
from prometheus_client import CollectorRegistry
from support.chassis import eventually

from oms_chassis.db import Database, Transaction
from oms_chassis.messaging import outbox
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.messaging.kafka import KafkaSink, KafkaSource, admin, batches, membership, reconcile_topics, unread
from oms_chassis.messaging.kafka import sink as sinks
from oms_chassis.messaging.kafka import source as module
from oms_chassis.messaging.kafka.batches import DamagedBatch
from oms_chassis.messaging.relay import Relay
from oms_chassis.messaging.streams import (
    LETTER_LIMIT,
    RECORD_LIMIT,
    Damage,
    Outgoing,
    Record,
    RecordRefused,
    StreamUnavailable,
    TopicRefused,
    first_offsets,
    next_offsets,
)
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.settings import Settings
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts import topics
from oms_contracts.envelope import Event
from oms_contracts.events import ItemUpdated
from oms_contracts.topics import ITEM_UPDATED
from oms_servers.kafka import KafkaServer

TOPIC = ITEM_UPDATED.name


@pytest.fixture
def settings(kafka: str) -> Settings:
    made = Settings(database_url="postgresql://nobody@127.0.0.1:1/none", kafka_bootstrap=kafka)
    reconcile_topics(made)
    return made


@pytest.fixture
def sink(settings: Settings) -> Iterator[KafkaSink]:
    sink = KafkaSink(settings)
    yield sink
    sink.close()


def unreachable(_: Settings) -> dict[str, Any]:
    return {"bootstrap_servers": "127.0.0.1:1", "bootstrap_timeout_ms": 500}


def source(settings: Settings, group: str) -> KafkaSource:
    return KafkaSource(settings, group, [TOPIC])


def read(source: KafkaSource, key: bytes, count: int) -> list[Record]:
    found: list[Record] = []

    def all_there() -> bool:
        found.extend(record for record in source.poll(0.2) if record.key == key)
        return len(found) >= count

    eventually(all_there, within=30)
    return found


def by_partition(settings: Settings, keys: Sequence[bytes]) -> dict[int, set[bytes | None]]:
    """Which of these keys are in which partition."""
    reader, found = source(settings, uuid4().hex), list[Record]()

    def all_there() -> bool:
        found.extend(record for record in reader.poll(0.2) if record.key in keys)
        return len(found) >= len(keys)

    eventually(all_there)
    reader.close()
    return {number: {one.key for one in found if one.partition == number} for number in {r.partition for r in found}}


def test_records_of_a_key_arrive_in_order_with_their_headers(settings: Settings, sink: KafkaSink) -> None:
    key = uuid4().bytes
    sink.send([Outgoing(TOPIC, key, str(number).encode(), [("n", b"\xff")]) for number in range(300)])
    reader = source(settings, uuid4().hex)
    records = read(reader, key, 300)
    assert [record.value for record in records] == [str(number).encode() for number in range(300)]
    assert list(records[0].headers) == [("n", b"\xff")]
    assert reader.is_assigned()
    reader.close()


def test_what_was_committed_is_not_read_again_and_what_was_not_is(settings: Settings, sink: KafkaSink) -> None:
    key, group = uuid4().bytes, uuid4().hex
    sink.send([Outgoing(TOPIC, key, b"first")])
    one = source(settings, group)
    records = read(one, key, 1)
    one.commit(next_offsets(records))
    sink.send([Outgoing(TOPIC, key, b"second")])
    read(one, key, 1)
    one.close()
    two = source(settings, group)
    assert [record.value for record in read(two, key, 1)] == [b"second"]
    two.close()


def committed(reader: KafkaSource, record: Record) -> int | None:
    where = reader._at((record.topic, record.partition))
    offset: int | None = reader._consumer.committed(where)
    return offset


def test_offsets_are_committed_once_in_a_while(
    settings: Settings, sink: KafkaSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMIT", 600.0)
    key = uuid4().bytes
    reader = source(settings, uuid4().hex)
    ends = []
    for value in (b"first", b"second"):
        sink.send([Outgoing(TOPIC, key, value)])
        (record,) = read(reader, key, 1)
        reader.commit(next_offsets([record]))
        ends.append(record.offset + 1)
    assert committed(reader, record) == ends[0]
    monkeypatch.setattr(module, "COMMIT", 0.0)
    reader.poll(0.0)
    assert committed(reader, record) == ends[1]
    reader.close()


@pytest.mark.parametrize(
    ("error", "is_kept"),
    [(RebalanceInProgressError(), True), (KafkaTimeoutError(), True), (CommitFailedError(), False)],
)
def test_offsets_that_are_not_taken_are_committed_later_unless_the_member_was_thrown_out(
    settings: Settings, sink: KafkaSink, monkeypatch: pytest.MonkeyPatch, error: Exception, is_kept: bool
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(module, "COMMIT", 0.0)
    key = uuid4().bytes
    reader = source(settings, uuid4().hex)
    sink.send([Outgoing(TOPIC, key, b"value")])
    (record,) = read(reader, key, 1)
    with monkeypatch.context() as refusing:
        refusing.setattr(reader._consumer, "commit", refuse)
        reader.commit(next_offsets([record]))
    reader.poll(0.0)
    assert committed(reader, record) == (record.offset + 1 if is_kept else None)
    reader.close()


def test_a_commit_that_a_silent_broker_does_not_answer_holds_nothing_up(
    settings: Settings, sink: KafkaSink, kafka_server: KafkaServer
) -> None:
    assert kafka_server.pid
    key = uuid4().bytes
    reader = source(settings, uuid4().hex)
    sink.send([Outgoing(TOPIC, key, b"value")])
    (record,) = read(reader, key, 1)
    os.kill(kafka_server.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        reader.commit(next_offsets([record]))
        assert time.monotonic() - began < module.COMMIT_WITHIN + 2
        eventually(lambda: reader.silence() > module.QUIET)
        began = time.monotonic()
        reader.commit(next_offsets([record]))
        assert time.monotonic() - began < module.COMMIT_WITHIN / 2
    finally:
        os.kill(kafka_server.pid, signal.SIGCONT)
    eventually(lambda: (reader.poll(0.2), committed(reader, record) == record.offset + 1)[1], within=60)
    reader.close()


def test_a_member_that_leaves_commits_what_it_has_not_yet(
    settings: Settings, sink: KafkaSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMIT", 600.0)
    key, group = uuid4().bytes, uuid4().hex
    one = source(settings, group)
    for value in (b"first", b"second"):
        sink.send([Outgoing(TOPIC, key, value)])
        one.commit(next_offsets(read(one, key, 1)))
    one.close()
    sink.send([Outgoing(TOPIC, key, b"third")])
    two = source(settings, group)
    assert [record.value for record in read(two, key, 1)] == [b"third"]
    two.close()


def test_a_rewound_source_reads_again(settings: Settings, sink: KafkaSink) -> None:
    key = uuid4().bytes
    sink.send([Outgoing(TOPIC, key, b"again")])
    reader = source(settings, uuid4().hex)
    records = read(reader, key, 1)
    reader.rewind(first_offsets(records))
    assert read(reader, key, 1) == records
    assert set(reader.lag().values()) == {0}
    reader.close()


def test_a_record_larger_than_a_producers_usual_limit_can_be_sent(settings: Settings, sink: KafkaSink) -> None:
    key, value = uuid4().bytes, b"x" * (2 * 1024 * 1024)
    sink.send([Outgoing(TOPIC, key, value)])
    reader = source(settings, uuid4().hex)
    assert read(reader, key, 1)[0].value == value
    reader.close()


def test_a_member_that_the_group_does_not_take_in_says_so(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = source(settings, uuid4().hex)
    eventually(lambda: (reader.poll(0.2), reader.is_assigned())[1], within=30)
    monkeypatch.setattr(membership, "UNASSIGNED", 0.0)
    monkeypatch.setattr(membership, "LEFT_OUT", 0.0)
    reader._membership._joined = False  # as while the group is shared out
    with pytest.raises(StreamUnavailable):
        reader.poll(0.1)
    reader.close()


class Compressed(NamedTuple):
    """A batch as a client of another language would send it."""

    codec: int
    compress: Callable[[bytes], bytes]


def xerial(content: bytes) -> bytes:
    """As Java's Snappy does it: in blocks."""
    blocks = [bytes(snappy.compress_raw(content[at : at + 32768])) for at in range(0, len(content), 32768)]
    return b"\x82SNAPPY\0" + struct.pack("!ii", 1, 1) + b"".join(struct.pack("!i", len(b)) + b for b in blocks)


CODECS = {
    "gzip": Compressed(1, lambda content: bytes(gzip.compress(content))),
    "snappy": Compressed(2, lambda content: bytes(snappy.compress_raw(content))),
    "xerial": Compressed(2, xerial),
    "lz4": Compressed(3, lambda content: bytes(lz4.compress(content))),
    "zstd": Compressed(4, lambda content: bytes(zstd.compress(content))),
}


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


def read_batches(*raw: bytes) -> list[Any]:
    """What a consumer's fetcher makes of them."""
    fetcher = SimpleNamespace(PartitionRecords=Fetcher.PartitionRecords)
    batches.read_all(fetcher)
    return list(fetcher.PartitionRecords(0, TopicPartition(TOPIC, 0), MemoryRecords(b"".join(raw))).take())


@pytest.mark.parametrize("codec", [None, *CODECS.values()], ids=["plain", *CODECS])
def test_a_header_whose_name_is_no_text_is_read_whatever_its_batch_is_compressed_by(codec: Compressed | None) -> None:
    odd = Outgoing(TOPIC, b"odd", b"value" * 20_000, [("name", b"\xff"), ("name", None)])
    first, second, third = read_batches(
        batch([Outgoing(TOPIC, b"a", b"1"), odd, Outgoing(TOPIC, b"b", b"2")], codec, b"\xffam\xfe")
    )
    assert (first.key, third.key) == (b"a", b"b")
    assert (second.key, second.value) == (odd.key, odd.value)
    assert second.headers == [("\\xffam\\xfe", b"\xff"), ("\\xffam\\xfe", None)]


@pytest.mark.parametrize("codec", [None, "gzip"])
def test_what_only_other_clients_send_is_read_from_the_broker(settings: Settings, codec: str | None) -> None:
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
def test_a_batch_that_cannot_be_decompressed_comes_as_it_is_and_those_behind_it_are_read(
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


def test_a_batch_whose_checksum_is_wrong_is_named_and_nothing_behind_it_is_read() -> None:
    broken = bytearray(batch([Outgoing(TOPIC, b"a", b"x"), Outgoing(TOPIC, b"b", b"y")]))
    broken[-1] ^= 1
    with pytest.raises(DamagedBatch) as found:
        read_batches(bytes(broken), batch([Outgoing(TOPIC, b"behind", b"it")]))
    assert (found.value.where, found.value.damage) == (TopicPartition(TOPIC, 0), Damage(0, 2))


def test_a_damaged_batch_holds_its_partition_and_no_other_until_it_is_whole_again(
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


def test_topics_are_created_once(settings: Settings) -> None:
    assert reconcile_topics(settings).created == []


def test_a_topic_needs_as_many_copies_as_were_asked_for(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"copies-{uuid4().hex}"
    monkeypatch.setattr(topics, "names", lambda: (name,))
    assert reconcile_topics(settings.model_copy(update={"kafka_min_in_sync": 2})).created == [name]
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)

    def needed() -> str | None:
        found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])["topic"][name]
        value: str | None = found.get("min.insync.replicas", {}).get("value")
        return value

    try:
        eventually(lambda: needed() == "2", within=30)  # the broker learns of it a moment after it took the order
    finally:
        admin.delete_topics([name])
        admin.close()


def test_a_broker_that_is_away_is_said_to_be_unavailable(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:1"})
    for where in (admin, sinks, module):
        monkeypatch.setattr(where, "connection", unreachable)
    with pytest.raises(StreamUnavailable):
        reconcile_topics(nowhere)
    with pytest.raises(StreamUnavailable):
        KafkaSink(nowhere).send([Outgoing(TOPIC, b"key", b"value")])
    with pytest.raises(StreamUnavailable):
        source(nowhere, "group")


@pytest.mark.parametrize(
    "connect",
    [
        lambda settings: source(settings, "group"),
        lambda settings: KafkaSink(settings).send([Outgoing(TOPIC, b"key", b"value")]),
        reconcile_topics,
    ],
    ids=["source", "sink", "admin"],
)
def test_connecting_in_vain_leaves_no_thread_and_no_descriptor(
    settings: Settings,
    connect: Callable[[Settings], object],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL, "kafka")  # as in a service; what is captured keeps what its arguments refer to
    for where in (admin, sinks, module):
        monkeypatch.setattr(where, "connection", lambda _: {**unreachable(_), "bootstrap_timeout_ms": 50})

    def held() -> tuple[int, int]:
        return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

    gc.collect()
    before = held()
    gc.disable()
    try:
        for _ in range(20):
            with pytest.raises(StreamUnavailable):
                connect(settings)
        after = held()
    finally:
        gc.enable()
    assert after[0] <= before[0]
    assert after[1] <= before[1] + 3


def test_a_source_whose_broker_falls_silent_knows_for_how_long(settings: Settings, kafka_server: KafkaServer) -> None:
    assert kafka_server.pid
    reader = source(settings, uuid4().hex)
    eventually(lambda: (reader.poll(0.2), reader.is_assigned())[1], within=30)
    eventually(lambda: (reader.poll(0.2), reader.silence() < 2)[1], within=30)
    os.kill(kafka_server.pid, signal.SIGSTOP)
    try:
        eventually(lambda: (reader.poll(0.2), reader.silence() > module.QUIET + 1)[1], within=30)
        busy = time.process_time()
        for _ in range(6):
            assert reader.poll(0.5) == []
        assert time.process_time() - busy < 0.5  # of the three seconds that the polls took
    finally:
        os.kill(kafka_server.pid, signal.SIGCONT)
    eventually(lambda: (reader.poll(0.2), reader.silence() < 2)[1], within=60)
    reader.close()


def test_a_rewound_source_leaves_what_is_another_member_s(settings: Settings) -> None:
    reader = source(settings, uuid4().hex)
    reader.rewind({(TOPIC, 99): 5})
    reader.close()


@pytest.mark.parametrize(
    ("odd", "error"),
    [
        (Outgoing(TOPIC, None, None), "ValueError"),
        (Outgoing(TOPIC, b"key", b"value", [("name", None)]), "TypeError"),
        (Outgoing("no topic!", b"key", b"value"), "ValueError"),
        (Outgoing(TOPIC, b"key", b"x" * (LETTER_LIMIT + 1)), "MessageSizeTooLargeError"),
        (Outgoing(TOPIC, b"key", b"x" * (RECORD_LIMIT + 1)), "MessageSizeTooLargeError"),
    ],
)
def test_what_can_never_be_sent_is_refused_and_the_next_is_sent(sink: KafkaSink, odd: Outgoing, error: str) -> None:
    with pytest.raises(RecordRefused, match=error):
        sink.send([Outgoing(TOPIC, uuid4().bytes, b"before"), odd])
    sink.send([Outgoing(TOPIC, uuid4().bytes, b"after")])


def test_a_clock_that_is_ahead_of_the_broker_s_is_no_fault_of_the_records(
    sink: KafkaSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, ahead = KafkaProducer.send, int((time.time() + 2 * 3600) * 1000)
    monkeypatch.setattr(KafkaProducer, "send", lambda *given, **more: usual(*given, **more, timestamp_ms=ahead))
    with pytest.raises(StreamUnavailable, match="InvalidTimestampError"):
        sink.send([Outgoing(TOPIC, b"key", b"value")])
    monkeypatch.undo()
    sink.send([Outgoing(TOPIC, b"key", b"value")])


def late_in_the_relay(late: pytest.MonkeyPatch) -> None:
    late.setattr(sinks, "FIND_TIMEOUT", -1000.0)
    late.setattr(sinks, "SEND_TIMEOUT", 1.0)


def late_in_the_client(late: pytest.MonkeyPatch) -> None:
    late.setattr(ProducerBatch, "has_reached_delivery_timeout", lambda *_, **__: True)


@pytest.mark.parametrize("make_late", [late_in_the_relay, late_in_the_client])
def test_what_was_not_sent_in_time_is_never_sent(
    settings: Settings, sink: KafkaSink, monkeypatch: pytest.MonkeyPatch, make_late: Callable[[Any], None]
) -> None:
    """As after a process was suspended: another one may have sent the same meanwhile, and more after it."""
    key = uuid4().bytes
    sink.send([Outgoing(TOPIC, key, b"before")])
    with monkeypatch.context() as late:
        make_late(late)
        with pytest.raises(StreamUnavailable):
            sink.send([Outgoing(TOPIC, key, b"late")])
    sink.send([Outgoing(TOPIC, key, b"after")])
    reader = source(settings, uuid4().hex)
    assert [record.value for record in read(reader, key, 2)] == [b"before", b"after"]
    reader.close()


def test_a_dead_letter_may_be_larger_than_an_event(sink: KafkaSink) -> None:
    sink.send([Outgoing("order.deadletter", b"key", b"x" * (RECORD_LIMIT + 100_000))])


def test_a_topic_that_is_missing_is_distinguished_from_a_broker_that_is_away(sink: KafkaSink) -> None:
    with pytest.raises(TopicRefused, match="UnknownTopic") as refusal:
        sink.send([Outgoing(TOPIC, b"key", b"value"), Outgoing("missing", b"key", b"value")])
    assert refusal.value.topic == "missing"
    sink.send([Outgoing(TOPIC, b"key", b"value")])


def test_a_topic_that_a_broker_cannot_be_asked_for_any_more_is_not_said_to_be_missing(
    sink: KafkaSink, kafka_server: KafkaServer
) -> None:
    assert kafka_server.pid
    sink.send([Outgoing(TOPIC, b"key", b"value")])
    silence = threading.Timer(sinks.FIND_TIMEOUT / 2, os.kill, (kafka_server.pid, signal.SIGSTOP))
    silence.start()
    try:
        with pytest.raises(StreamUnavailable):
            sink.send([Outgoing("missing", b"key", b"value")])
    finally:
        silence.join()
        os.kill(kafka_server.pid, signal.SIGCONT)


def test_one_row_in_hundreds_is_isolated_on_a_real_broker(
    settings: Settings, sink: KafkaSink, database: Database, metrics: Metrics
) -> None:
    keys = [uuid4().bytes for _ in range(2)]
    good = [Outgoing(TOPIC, keys[number % 2], str(number).encode()) for number in range(300)]
    with database.transaction() as transaction:
        outbox.emit_records(transaction, [*good[:100], Outgoing(TOPIC, b"key", b"x" * (RECORD_LIMIT + 1)), *good[100:]])
        outbox.emit_records(transaction, [Outgoing(TOPIC, None, None)])
    relay = Relay(database, sink, metrics)
    with database.autocommit() as connection:
        while relay.send_batch(connection):
            pass
    errors = [row.error for row in database.execute("SELECT error FROM outbox_quarantine ORDER BY id")]
    assert errors == ["MessageSizeTooLargeError", "ValueError"]
    reader = source(settings, uuid4().hex)
    found: dict[bytes, None] = {}

    def all_there() -> bool:
        found.update({r.value: None for r in reader.poll(0.2) if r.key == keys[0] and r.value})
        return len(found) == 150

    eventually(all_there, within=30)
    assert list(found) == [one.value for one in good[::2]]
    reader.close()


@pytest.mark.parametrize(
    ("replication", "own", "expected"), [(1, None, "1"), (2, None, "1"), (3, None, "2"), (3, 3, "3")]
)
def test_topics_need_as_many_copies_as_make_an_acknowledgement_worth_something(
    settings: Settings, replication: int, own: int | None, expected: str
) -> None:
    configured = settings.model_copy(update={"kafka_replication": replication, "kafka_min_in_sync": own})
    wanted = admin._wanted(configured)
    assert wanted.keys() == set(topics.names())
    assert {topic.config["min.insync.replicas"] for topic in wanted.values()} == {expected}


def test_a_consumer_processes_what_the_real_broker_delivers(
    settings: Settings, sink: KafkaSink, database: Database
) -> None:
    key = uuid4().hex
    events: list[Event[Any]] = []

    def handle(_: Transaction, batch: list[Event[Any]]) -> None:
        events.extend(one for one in batch if one.subject == key)

    data = ItemUpdated(item_id=key, name="A", unit_price=1, currency="USD", available=True, version=1)
    sent = [ITEM_UPDATED.event(data, key) for _ in range(20)]
    sink.send([Outgoing(TOPIC, key.encode(), one.encode().encode()) for one in (*sent, *sent)])
    group = uuid4().hex
    consumer = Consumer(
        "test",
        database,
        [Subscription(ITEM_UPDATED, handle)],
        lambda: source(settings, group),
        Metrics(CollectorRegistry()),
    )
    thread = threading.Thread(target=consumer.run)
    thread.start()
    try:
        eventually(lambda: len(events) >= 20, within=30)
        assert consumer.is_ready
    finally:
        consumer.stop()
        thread.join(15)
    assert events == sent


def test_records_that_only_compressed_fit_their_topic_are_dead_letters_and_those_around_them_are_processed(
    settings: Settings, sink: KafkaSink, database: Database, metrics: Metrics
) -> None:
    key = uuid4().hex
    events: list[Event[Any]] = []
    data = ItemUpdated(item_id=key, name="A", unit_price=1, currency="USD", available=True, version=1)
    good = [ITEM_UPDATED.event(data, key) for _ in range(3)]
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap, compression_type="gzip", max_request_size=40_000_000
    )
    for event, size in zip(good, (RECORD_LIMIT + 1, 6_000_000, 25_000_000), strict=True):
        producer.send(TOPIC, key=key.encode(), value=event.encode().encode()).get(30)
        producer.send(TOPIC, key=key.encode(), value=b"x" * size).get(30)
    producer.close(10)
    group = uuid4().hex
    handled = Subscription(ITEM_UPDATED, lambda _, batch: events.extend(one for one in batch if one.subject == key))
    consumer = Consumer("order", database, [handled], lambda: source(settings, group), metrics)
    relay = Relay(database, sink, metrics)
    ours = "SELECT FROM dead_letter WHERE key = %(key)s"
    with ExitStack() as ends:
        for loop in (consumer, relay):
            thread = threading.Thread(target=loop.run)
            thread.start()
            ends.callback(thread.join, 30)
            ends.callback(loop.stop)
        eventually(lambda: len(database.execute(ours, key=key.encode())) == 3, within=60)
        eventually(lambda: len(events) == 3 and not database.execute("SELECT FROM outbox"), within=60)
    assert events == good
    assert not database.execute("SELECT FROM outbox_quarantine")
