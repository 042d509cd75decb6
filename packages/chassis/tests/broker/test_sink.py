"""The sink: whether a record, a topic or the broker is to blame if something cannot be sent."""

import os
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from kafka import KafkaProducer
from kafka.producer.producer_batch import ProducerBatch
from support.broker import TOPIC, administering, read, source
from support.chassis import eventually

from oms_chassis.db import Database
from oms_chassis.messaging import outbox
from oms_chassis.messaging.kafka import KafkaSink, awaited
from oms_chassis.messaging.kafka import sink as sinks
from oms_chassis.messaging.relay import Relay
from oms_chassis.messaging.streams import (
    LETTER_LIMIT,
    RECORD_LIMIT,
    Outgoing,
    RecordRefused,
    StreamUnavailable,
    TopicRefused,
)
from oms_chassis.settings import Settings
from oms_chassis.telemetry.metrics import Metrics
from oms_servers.kafka import KafkaServer


def test_a_record_larger_than_a_producers_usual_limit_can_be_sent(settings: Settings, sink: KafkaSink) -> None:
    key, value = uuid4().bytes, b"x" * (2 * 1024 * 1024)
    sink.send([Outgoing(TOPIC, key, value)])
    reader = source(settings, uuid4().hex)
    assert read(reader, key, 1)[0].value == value
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
def test_a_record_that_can_never_be_sent_is_refused_and_the_next_one_is_sent(
    sink: KafkaSink, odd: Outgoing, error: str
) -> None:
    with pytest.raises(RecordRefused, match=error):
        sink.send([Outgoing(TOPIC, uuid4().bytes, b"before"), odd])
    sink.send([Outgoing(TOPIC, uuid4().bytes, b"after")])


@pytest.mark.parametrize("hours", [2, -8 * 24])
def test_a_records_age_is_the_brokers_to_say_whatever_its_senders_clock_says(
    settings: Settings, sink: KafkaSink, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """By its sender's clock it would be refused, or deleted at once, and a group that is set back would miss it."""
    usual, began = KafkaProducer.send, datetime.now(UTC)
    wrong = int((began.timestamp() + hours * 3600) * 1000)
    monkeypatch.setattr(KafkaProducer, "send", lambda *given, **more: usual(*given, **more, timestamp_ms=wrong))
    sink.send([Outgoing(TOPIC, b"key", b"value")])
    before, after = (awaited(settings, "nobody", [TOPIC], one) for one in (began, began + timedelta(hours=1)))
    assert after[TOPIC] - before.get(TOPIC, 0) == 1


def test_why_a_batch_is_not_taken_is_said_and_not_only_that_its_time_is_over(
    own_topics: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "ACKNOWLEDGE", 1.0)
    monkeypatch.setattr(sinks, "SEND_TIMEOUT", 2.0)
    sink = KafkaSink(own_topics)
    sink.send([Outgoing(TOPIC, b"key", b"value")])
    with administering(own_topics.kafka_bootstrap) as admin:
        admin.delete_topics([f"{own_topics.kafka_prefix}{TOPIC}"])
    with pytest.raises(StreamUnavailable, match=r"^UnknownTopicOrPartitionError$"):
        sink.send([Outgoing(TOPIC, b"key", b"value")])
    sink.close()


def late_in_the_relay(late: pytest.MonkeyPatch) -> None:
    late.setattr(sinks, "FIND_TIMEOUT", -1000.0)
    late.setattr(sinks, "SEND_TIMEOUT", 1.0)


def late_in_the_client(late: pytest.MonkeyPatch) -> None:
    late.setattr(ProducerBatch, "has_reached_delivery_timeout", lambda *_, **__: True)


@pytest.mark.parametrize("make_late", [late_in_the_relay, late_in_the_client])
def test_records_that_were_not_sent_in_time_are_never_sent(
    settings: Settings, sink: KafkaSink, monkeypatch: pytest.MonkeyPatch, make_late: Callable[[Any], None]
) -> None:
    """As after a suspension of the process: another relay may have sent the same records meanwhile, and later ones."""
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


def test_a_missing_topic_is_distinguished_from_an_unavailable_broker(sink: KafkaSink) -> None:
    with pytest.raises(TopicRefused, match="UnknownTopic") as refusal:
        sink.send([Outgoing(TOPIC, b"key", b"value"), Outgoing("missing", b"key", b"value")])
    assert refusal.value.topic == "missing"
    sink.send([Outgoing(TOPIC, b"key", b"value")])


def test_a_topic_is_not_reported_as_missing_once_no_broker_can_be_asked(
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
