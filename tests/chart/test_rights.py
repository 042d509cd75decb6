"""The rights that the chart grants just suffice, on a real broker that refuses everything else."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ResourcePattern,
    ResourceType,
)
from support.broker import administering
from support.chassis import eventually
from support.guarded import GuardedKafka

from oms_chassis.messaging.kafka import KafkaSink, KafkaSource, reconcile_topics
from oms_chassis.messaging.streams import Outgoing, StreamUnavailable, TopicRefused
from oms_chassis.settings import Settings
from oms_contracts import topics
from oms_servers.testing import memory_folder

URL = "postgresql://nobody:nothing@localhost:1/none"
OPERATIONS = {"Describe": ACLOperation.DESCRIBE, "Read": ACLOperation.READ, "Write": ACLOperation.WRITE}
RESOURCES = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP}

As = Callable[[str], Settings]


def acls(user: dict[str, Any]) -> Iterator[ACL]:
    """Yield the ACLs that the User Operator would make of a KafkaUser."""
    for acl in user["spec"]["authorization"]["acls"]:
        pattern = ResourcePattern(RESOURCES[acl["resource"]["type"]], acl["resource"]["name"])
        for operation in acl["operations"]:
            principal = f"User:{user['metadata']['name']}"
            yield ACL(principal, "*", OPERATIONS[operation], ACLPermissionType.ALLOW, pattern)


@pytest.fixture(scope="module")
def settings_of(render: Any) -> Iterator[As]:
    """Yield the settings of a service that connects as itself to a broker with the chart's rights."""
    with memory_folder() as folder, GuardedKafka(folder / "kafka") as server:
        reconcile_topics(Settings(database_url=URL, kafka_bootstrap=server.bootstrap))
        users = render().of("KafkaUser")
        # Before the passwords: a broker that accepts these has applied what was written earlier, too.
        with administering(server.bootstrap) as admin:
            admin.create_acls([acl for user in users.values() for acl in acls(user)])
        for name in users:
            server.let_in(name, "secret")
        yield lambda service: server.settings(f"oms-{service}-kafka", "secret")
        server.kill()


def send(settings: Settings, topic: str) -> None:
    """Send one record, as a relay does."""
    sink = KafkaSink(settings)
    try:
        sink.send([Outgoing(topic, b"key", b"{}")])
    finally:
        sink.close()


@pytest.mark.parametrize("service", topics.SERVICES)
def test_a_service_can_write_and_read_its_topics(settings_of: As, service: str) -> None:
    settings = settings_of(service)
    for topic in topics.TOPICS:
        if topic.emitted_by == service:
            send(settings, topic.name)
    send(settings, topics.dead_letter(service))
    source = KafkaSource(settings, service, [topic.name for topic in topics.TOPICS if service in topic.read_by])
    try:

        def reads() -> bool:
            source.poll(0.2)
            return source.is_assigned()

        eventually(reads, 30.0)
        source.commit({(topic.name, 0): 0 for topic in topics.TOPICS if service in topic.read_by})
    finally:
        source.close()


@pytest.mark.parametrize("service", topics.SERVICES)
def test_a_service_cannot_write_anything_else(settings_of: As, service: str) -> None:
    foreign = next(topic.name for topic in topics.TOPICS if topic.emitted_by != service)
    with pytest.raises(TopicRefused):
        send(settings_of(service), foreign)


def poll_until_refused(source: KafkaSource) -> None:
    for _ in range(50):
        source.poll(0.2)


def test_a_service_cannot_join_another_s_group(settings_of: As) -> None:
    source = KafkaSource(settings_of("sms"), "email", [topics.PAYMENT_FAILED.name])

    def join() -> None:
        for _ in range(50):
            source.poll(0.2)

    try:
        with pytest.raises(StreamUnavailable):
            join()
        assert not source.is_assigned()
    finally:
        source.close()


def test_a_wrong_password_is_refused(settings_of: As) -> None:
    wrong = settings_of("sms").model_copy(update={"kafka_username": "oms-nobody-kafka"})
    with pytest.raises(StreamUnavailable):
        send(wrong, topics.dead_letter("sms"))
