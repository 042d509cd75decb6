"""The source: records in order, offsets that are committed explicitly, and a broker that falls silent."""

import os
import signal
import time
from uuid import uuid4

import pytest
from kafka.errors import CommitFailedError, KafkaTimeoutError, RebalanceInProgressError
from support.broker import TOPIC, read, source
from support.chassis import eventually

from oms_chassis.messaging.kafka import KafkaSink, KafkaSource, membership
from oms_chassis.messaging.kafka import source as module
from oms_chassis.messaging.streams import (
    Outgoing,
    Record,
    StreamUnavailable,
    first_offsets,
    next_offsets,
)
from oms_chassis.settings import Settings
from oms_servers.kafka import KafkaServer


def test_records_of_a_key_arrive_in_order_with_their_headers(settings: Settings, sink: KafkaSink) -> None:
    key = uuid4().bytes
    sink.send([Outgoing(TOPIC, key, str(number).encode(), [("n", b"\xff")]) for number in range(300)])
    reader = source(settings, uuid4().hex)
    records = read(reader, key, 300)
    assert [record.value for record in records] == [str(number).encode() for number in range(300)]
    assert list(records[0].headers) == [("n", b"\xff")]
    assert reader.is_assigned()
    reader.close()


def test_only_records_that_were_not_committed_are_read_again(settings: Settings, sink: KafkaSink) -> None:
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


def test_offsets_are_committed_now_and_then(
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
def test_offsets_that_the_broker_did_not_accept_are_committed_later_unless_the_member_was_removed(
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


def test_a_leaving_member_commits_its_remaining_offsets(
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


def test_a_member_that_the_group_does_not_accept_raises(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = source(settings, uuid4().hex)
    eventually(lambda: (reader.poll(0.2), reader.is_assigned())[1], within=30)
    monkeypatch.setattr(membership, "UNASSIGNED", 0.0)
    monkeypatch.setattr(membership, "LEFT_OUT", 0.0)
    reader._membership._joined = False  # as while the group is shared out
    with pytest.raises(StreamUnavailable):
        reader.poll(0.1)
    reader.close()


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


def test_a_rewound_source_ignores_partitions_of_other_members(settings: Settings) -> None:
    reader = source(settings, uuid4().hex)
    reader.rewind({(TOPIC, 99): 5})
    reader.close()
