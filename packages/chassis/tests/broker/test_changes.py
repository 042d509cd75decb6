"""What whoever owns the brokers changes under a service that runs."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ConfigResource,
    ConfigResourceType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
)
from support.certificates import certificate
from support.chassis import eventually, running
from support.guarded import GuardedKafka

from oms_chassis.db import Database, Transaction
from oms_chassis.messaging import outbox, progress
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.messaging.kafka import KafkaSink, KafkaSource, connection, reconcile_topics, unread
from oms_chassis.messaging.relay import Relay
from oms_chassis.messaging.streams import BATCH, Outgoing, StreamUnavailable, TopicRefused
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.settings import Settings, TopicSettings
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event
from oms_contracts.events import ItemUpdated
from oms_contracts.topics import ITEM_UPDATED, PAYMENT_FAILED
from oms_servers.ports import free_port
from oms_servers.testing import memory_folder

pytestmark = pytest.mark.timeout(180)
TOPIC, OTHER, USER = ITEM_UPDATED.name, PAYMENT_FAILED.name, "shop"
READ, DESCRIBE = ACLOperation.READ, ACLOperation.DESCRIBE


def settings_for(bootstrap: str, **config: str) -> Settings:
    """Of topics of a test's own, each with one partition."""
    made = Settings(
        database_url="postgresql://nobody@127.0.0.1:1/none",
        kafka_bootstrap=bootstrap,
        kafka_prefix=f"{uuid4().hex}-",
        kafka_topics={name: TopicSettings(partitions=1, config=config) for name in (TOPIC, OTHER)},
    )
    reconcile_topics(made)
    return made


@pytest.fixture
def settings(kafka: str) -> Settings:
    return settings_for(kafka)


@contextmanager
def administering(bootstrap_servers: Any, **more: Any) -> Iterator[KafkaAdminClient]:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers, **more)
    try:
        yield admin
    finally:
        admin.close()


def send(settings: Settings, items: Sequence[str]) -> None:
    sink = KafkaSink(settings)
    sink.send([Outgoing(TOPIC, item.encode(), event(item).encode().encode()) for item in items])
    sink.close()


def event(item: str) -> Event[Any]:
    data = ItemUpdated(item_id=item, name="A thing", unit_price=100, currency="USD", available=True, version=1)
    return ITEM_UPDATED.event(data, item)


@pytest.fixture
def applied() -> list[str]:
    """The items of the events that were applied."""
    return []


@pytest.fixture
def consume(database: Database, metrics: Metrics, applied: list[str]) -> Callable[[Settings], Any]:
    """A consumer of both topics, while a block runs."""

    def handle(_: Transaction, batch: list[Event[Any]]) -> None:
        applied.extend(event.subject for event in batch)

    subscriptions = [Subscription(ITEM_UPDATED, handle), Subscription(PAYMENT_FAILED, handle)]

    def consume(settings: Settings) -> Any:
        source = partial(KafkaSource, settings, "group", [TOPIC, OTHER])
        return running(Consumer("test", database, subscriptions, source, metrics))

    return consume


@pytest.fixture(scope="module")
def guarded() -> Iterator[GuardedKafka]:
    with memory_folder() as folder, GuardedKafka(folder / "kafka") as server:
        server.let_in(USER, "secret")
        yield server
        server.kill()


def rule(kind: ACLPermissionType, what: ResourceType, name: str, operation: ACLOperation) -> ACL:
    return ACL(f"User:{USER}", "*", operation, kind, ResourcePattern(what, name))


@pytest.fixture
def as_user(guarded: GuardedKafka) -> Settings:
    """Those of a user who may do all that a service must, with topics of a test's own."""
    made = settings_for(guarded.bootstrap)
    topics = [(ResourceType.TOPIC, f"{made.kafka_prefix}{name}") for name in (TOPIC, OTHER)]
    group = (ResourceType.GROUP, f"{made.kafka_prefix}group")
    with administering(guarded.bootstrap) as admin:
        admin.create_acls([rule(ACLPermissionType.ALLOW, *one, ACLOperation.ALL) for one in (*topics, group)])
    user = guarded.settings(USER, "secret", kafka_prefix=made.kafka_prefix, kafka_topics=made.kafka_topics)
    with administering(**connection(user)) as admin:  # the broker learns of rights after it has answered
        eventually(lambda: set(admin.list_topics()) >= {name for _, name in topics})
    return user


@contextmanager
def denied(guarded: GuardedKafka, settings: Settings, operation: ACLOperation) -> Iterator[None]:
    """Deny the user this for the other topic, for a block."""
    denial = rule(ACLPermissionType.DENY, ResourceType.TOPIC, f"{settings.kafka_prefix}{OTHER}", operation)
    with administering(guarded.bootstrap) as admin:
        admin.create_acls([denial])
        yield
        admin.delete_acls([denial])


@pytest.mark.parametrize("operation", [READ, DESCRIBE])
def test_a_topic_that_is_not_ours_to_read_is_said_once_and_measured_and_holds_no_other(
    guarded: GuardedKafka,
    as_user: Settings,
    consume: Callable[[Settings], Any],
    applied: list[str],
    metrics: Metrics,
    logged: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    operation: ACLOperation,
) -> None:
    monkeypatch.setattr(unread, "REST", 1.0)
    monkeypatch.setattr(unread, "PROVEN", 1.0)

    with consume(as_user):
        send(as_user, ["before"])
        eventually(lambda: applied == ["before"])
        assert refused(metrics) == 0
        with denied(guarded, as_user, operation):
            eventually(lambda: refused(metrics) == 1)
            for number in range(5):  # as long as it rests, and longer
                send(as_user, [f"item-{number}"])
                eventually(lambda: applied[-1] == f"item-{number}")  # noqa: B023 - it is over before the next
        eventually(lambda: refused(metrics) == 0)
    lines = [line for line in logged() if "topic_refused" in line or "consumer_with" in line]
    assert len(lines) == 1, lines
    assert OTHER in lines[0]
    assert "TopicAuthorizationFailedError" in lines[0]


def test_a_topic_that_was_deleted_is_named_and_is_read_once_it_is_there_again(
    settings: Settings,
    consume: Callable[[Settings], Any],
    applied: list[str],
    metrics: Metrics,
    logged: Callable[[], list[str]],
) -> None:
    with consume(settings):
        send(settings, ["before"])
        eventually(lambda: applied == ["before"])
        with administering(settings.kafka_bootstrap) as admin:
            admin.delete_topics([f"{settings.kafka_prefix}{TOPIC}"])
        eventually(lambda: refused(metrics) == 1)
        reconcile_topics(settings)
        send(settings, ["after"])
        eventually(lambda: applied == ["before", "after"])
        eventually(lambda: refused(metrics) == 0)
    (line,) = [line for line in logged() if "topic_refused" in line]
    assert "UnknownTopicOrPartitionError" in line


def test_records_that_were_deleted_before_they_were_read_are_said_and_counted(
    settings: Settings,
    consume: Callable[[Settings], Any],
    applied: list[str],
    metrics: Metrics,
    logged: Callable[[], list[str]],
) -> None:
    with consume(settings):
        send(settings, ["read"])
        eventually(lambda: applied == ["read"])
    send(settings, ["gone", "gone, too", "left"])
    with administering(settings.kafka_bootstrap) as admin:
        admin.delete_records({TopicPartition(f"{settings.kafka_prefix}{TOPIC}", 0): 3})
    with consume(settings):
        eventually(lambda: applied == ["read", "left"])
        eventually(lambda: gaps(metrics) == 1)
    send(settings, ["later"])
    with consume(settings):  # another process goes on behind the gap, and says nothing of it
        eventually(lambda: applied == ["read", "left", "later"])
    (line,) = [json.loads(line) for line in logged() if "records_gone" in line]
    assert (line["topic"], line["partition"], line["offset"], line["beyond"]) == (TOPIC, 0, 1, 3)


def refused(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("oms_consumer_refused_topics")


def gaps(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("oms_consumer_gaps_total", {"topic": TOPIC})


def test_a_topic_that_is_made_again_in_the_middle_of_a_turn_is_read_from_its_beginning(
    settings: Settings, database: Database, metrics: Metrics, applied: list[str], logged: Callable[[], list[str]]
) -> None:
    began, may_end = threading.Event(), threading.Event()

    def handle(_: Transaction, batch: list[Event[Any]]) -> None:
        began.set()
        assert may_end.wait(60)
        applied.extend(event.subject for event in batch)

    source = partial(KafkaSource, settings, "group", [TOPIC])
    with running(Consumer("test", database, [Subscription(ITEM_UPDATED, handle)], source, metrics)):
        send(settings, ["a", "b", "c"])
        assert began.wait(30)
        with administering(settings.kafka_bootstrap) as admin:
            admin.delete_topics([f"{settings.kafka_prefix}{TOPIC}"])
            eventually(lambda: f"{settings.kafka_prefix}{TOPIC}" not in admin.list_topics())
        reconcile_topics(settings)
        send(settings, later := [f"later-{number}" for number in range(10)])
        may_end.set()
        eventually(lambda: set(applied) >= {"a", *later}, within=60)
    assert len(applied) == len(set(applied))
    assert any("records_gone" in line for line in logged())


def test_a_group_has_kept_up_where_a_topic_ends_with_the_mark_of_a_transaction(
    settings: Settings, database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LOOK", 0.2)
    bootstrap, name = settings.kafka_bootstrap, uuid4().hex
    producer = KafkaProducer(bootstrap_servers=bootstrap, transactional_id=name, enable_idempotence=True, acks="all")
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(f"{settings.kafka_prefix}{TOPIC}", key=b"a", value=event("a").encode().encode())
    producer.commit_transaction()
    producer.close(10)
    source = partial(KafkaSource, settings, "group", [TOPIC])
    consumer = Consumer("test", database, [Subscription(ITEM_UPDATED, lambda *_: None)], source, metrics)
    with running(consumer):
        eventually(lambda: consumer.kept_up() > 1.0)


def test_once_a_topic_takes_less_than_a_batch_its_events_are_sent_in_parts_and_in_order(
    settings: Settings, database: Database, metrics: Metrics
) -> None:
    """Of 1.5 MB for one partition, several batches are under way at once."""
    topic, size = f"{settings.kafka_prefix}{TOPIC}", 3000
    with administering(settings.kafka_bootstrap) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": "100000"})])
        eventually(lambda: config(admin, topic, "max.message.bytes") == "100000")
    values = [f"{number:0{size}}".encode() for number in range(BATCH)]
    with database.transaction() as transaction:
        outbox.emit_records(transaction, [Outgoing(TOPIC, b"key", value) for value in values])
    with running(Relay(database, KafkaSink(settings), metrics)):
        eventually(lambda: not outbox.pending(database, 1), within=100)
    reader, found = KafkaSource(settings, "group", [TOPIC]), list[bytes | None]()

    def all_there() -> bool:
        found.extend(record.value for record in reader.poll(0.2))
        return set(found) >= set(values)

    eventually(all_there)
    reader.close()
    assert list(dict.fromkeys(found)) == values
    assert not database.execute("SELECT FROM outbox_quarantine")


def config(admin: KafkaAdminClient, topic: str, name: str) -> Any:
    found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])["topic"][topic]
    return found[name]["value"]


def test_a_password_that_is_not_ours_any_more_is_named_at_once_and_the_next_one_opens(guarded: GuardedKafka) -> None:
    wrong = guarded.settings(USER, "that of before")
    sink = KafkaSink(wrong)
    for connect in (lambda: KafkaSource(wrong, "group", [TOPIC]), lambda: sink.send([Outgoing(TOPIC, b"", b"")])):
        with pytest.raises(StreamUnavailable, match=r"^SaslAuthenticationFailedError$"):
            connect()
    guarded.let_in(USER, "that of before")
    try:
        with pytest.raises(TopicRefused):  # it is let in, and there is no such topic
            eventually(lambda: send_if_let_in(sink))
    finally:
        guarded.let_in(USER, "secret")
        sink.close()


def send_if_let_in(sink: KafkaSink) -> None:
    with suppress(StreamUnavailable):
        sink.send([Outgoing("nowhere", b"", b"")])


def test_a_broker_whose_certificate_has_ended_is_said_to_have_one(tmp_path: Path) -> None:
    ended = certificate(tmp_path, days=-1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ended)
    settings = Settings(
        database_url="postgresql://nobody@127.0.0.1:1/none",
        kafka_bootstrap=f"127.0.0.1:{(port := free_port())}",
        kafka_security_protocol="SSL",
        kafka_ca_file=ended,
    )
    with socket.create_server(("127.0.0.1", port)) as listening, context.wrap_socket(listening) as broker:
        thread = threading.Thread(target=shake_hands, args=[broker])
        thread.start()
        with pytest.raises(StreamUnavailable, match=r"^SSLCertVerificationError$"):
            KafkaSource(settings, "group", [TOPIC])
        thread.join(10)


def shake_hands(broker: ssl.SSLSocket) -> None:
    with suppress(OSError):  # the other side ends it
        broker.accept()
