"""Access rights at the broker, and credentials and certificates that have expired."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from support.broker import OTHER, TOPIC, administering, refused, send, topics_of_its_own
from support.certificates import certificate
from support.chassis import eventually
from support.guarded import GuardedKafka

from oms_chassis.messaging.kafka import KafkaSink, KafkaSource, connection, unread
from oms_chassis.messaging.streams import Outgoing, StreamUnavailable, TopicRefused
from oms_chassis.settings import Settings
from oms_chassis.telemetry.metrics import Metrics
from oms_servers.ports import free_port
from oms_servers.testing import memory_folder

pytestmark = pytest.mark.timeout(180)
USER = "shop"
READ, DESCRIBE = ACLOperation.READ, ACLOperation.DESCRIBE


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
    """Settings of a user with all rights that a service needs, and with topics that belong to one test."""
    made = topics_of_its_own(guarded.bootstrap)
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
    """Deny the user access to the other topic during a block."""
    denial = rule(ACLPermissionType.DENY, ResourceType.TOPIC, f"{settings.kafka_prefix}{OTHER}", operation)
    with administering(guarded.bootstrap) as admin:
        admin.create_acls([denial])
        yield
        admin.delete_acls([denial])


@pytest.mark.parametrize("operation", [READ, DESCRIBE])
def test_a_topic_that_we_may_not_read_is_logged_once_and_measured_and_holds_up_no_other(
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


def test_a_password_that_is_no_longer_valid_is_named_at_once_and_the_next_one_works(guarded: GuardedKafka) -> None:
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


def test_an_expired_certificate_of_a_broker_is_named(tmp_path: Path) -> None:
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
