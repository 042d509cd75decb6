"""The rights that the chart gives, granted by a real broker that refuses everything else: they suffice, and no more."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from support.chassis import eventually

from oms_chassis.messaging.kafka import KafkaSink, KafkaSource, create_topics
from oms_chassis.messaging.streams import Outgoing, StreamUnavailable, TopicRefused
from oms_chassis.settings import Settings
from oms_contracts import topics
from oms_servers.kafka import KafkaServer
from oms_servers.ports import free_port
from oms_servers.testing import memory_folder

URL = "postgresql://nobody:nothing@localhost:1/none"
OPERATIONS = {"Describe": ACLOperation.DESCRIBE, "Read": ACLOperation.READ, "Write": ACLOperation.WRITE}
RESOURCES = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP}

As = Callable[[str], Settings]


class GuardedKafka(KafkaServer):
    """A broker with passwords and access control, as Strimzi's `authorization: simple` sets it up."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, free_port())
        self.guarded_port = free_port()

    def _settings(self) -> Mapping[str, object]:
        settings = super()._settings()
        login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        guarded = f"GUARDED://127.0.0.1:{self.guarded_port}"
        return {
            **settings,
            "listeners": f"{settings['listeners']},{guarded}",
            "advertised.listeners": f"{settings['advertised.listeners']},{guarded}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,GUARDED:SASL_PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.guarded.scram-sha-512.sasl.jaas.config": login,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",  # whoever comes by the other listener: this test
        }


def acls(user: dict[str, Any]) -> Iterator[ACL]:
    """What the User Operator would make of a KafkaUser."""
    for acl in user["spec"]["authorization"]["acls"]:
        pattern = ResourcePattern(RESOURCES[acl["resource"]["type"]], acl["resource"]["name"])
        for operation in acl["operations"]:
            principal = f"User:{user['metadata']['name']}"
            yield ACL(principal, "*", OPERATIONS[operation], ACLPermissionType.ALLOW, pattern)


@pytest.fixture(scope="module")
def settings_of(render: Any) -> Iterator[As]:
    """The settings with which a service connects as itself to a broker that grants what the chart says."""
    with memory_folder() as folder, GuardedKafka(folder / "kafka") as server:
        create_topics(Settings(database_url=URL, kafka_bootstrap=server.bootstrap))
        admin = KafkaAdminClient(bootstrap_servers=server.bootstrap)
        users = render().of("KafkaUser")
        mechanism = ScramMechanism.SCRAM_SHA_512
        admin.alter_user_scram_credentials([UserScramCredentialUpsertion(name, mechanism, "secret") for name in users])
        admin.create_acls([acl for user in users.values() for acl in acls(user)])
        admin.close()
        yield lambda service: Settings(
            database_url=URL,
            kafka_bootstrap=f"127.0.0.1:{server.guarded_port}",
            kafka_security_protocol="SASL_PLAINTEXT",
            kafka_sasl_mechanism="SCRAM-SHA-512",
            kafka_username=f"oms-{service}-kafka",
            kafka_password="secret",
        )
        server.kill()


def send(settings: Settings, topic: str) -> None:
    """Send one record, as a relay does."""
    sink = KafkaSink(settings)
    try:
        sink.send([Outgoing(topic, b"key", b"{}")])
    finally:
        sink.close()


@pytest.mark.parametrize("service", topics.SERVICES)
def test_a_service_can_write_and_read_what_it_must(settings_of: As, service: str) -> None:
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
def test_a_service_can_write_nothing_else(settings_of: As, service: str) -> None:
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
