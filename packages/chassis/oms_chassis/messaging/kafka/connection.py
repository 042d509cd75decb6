"""How the brokers are reached, and what their errors mean to a caller."""

import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Any

from kafka.errors import KafkaError
from kafka.net.compat import KafkaNetClient
from kafka.net.selector import NetworkSelector

from oms_chassis import hosts
from oms_chassis.messaging.kafka.answers import Connections
from oms_chassis.messaging.streams import StreamUnavailable
from oms_chassis.settings import Settings

CLIENT = "oms"  # what all of ours call themselves, and what a group's names for them begin with


def connection(settings: Settings) -> dict[str, Any]:
    """How to reach the brokers, as kafka-python takes it."""
    config = {
        "bootstrap_servers": list(hosts.addresses(settings.kafka_bootstrap)),
        "client_id": CLIENT,
        "bootstrap_timeout_ms": 5_000,
        "reconnect_backoff_ms": 100,
        "reconnect_backoff_max_ms": 1_000,  # the default grows to 30 s, and orders would wait for it after an outage
        "security_protocol": settings.kafka_security_protocol,
        "sasl_mechanism": settings.kafka_sasl_mechanism,
        "sasl_plain_username": settings.kafka_username,
        "sasl_plain_password": settings.kafka_password and settings.kafka_password.get_secret_value(),
        "ssl_cafile": settings.kafka_ca_file and str(settings.kafka_ca_file),
        "ssl_certfile": settings.kafka_cert_file and str(settings.kafka_cert_file),
        "ssl_keyfile": settings.kafka_key_file and str(settings.kafka_key_file),
    }
    return {name: value for name, value in config.items() if value is not None}


@contextlib.contextmanager
def unavailable_on_error() -> Iterator[None]:
    """Any error of the client becomes StreamUnavailable."""
    try:
        yield
    except (KafkaError, OSError) as error:
        raise StreamUnavailable(type(error).__name__) from error


@contextlib.contextmanager
def closed_on_error() -> Iterator[Callable[..., KafkaNetClient]]:
    """What makes a client's connections, for its `kafka_client`; none of them outlives a block that fails.

    kafka-python 3.0.12: a consumer, producer or admin client that cannot connect raises in its constructor, and leaves
    four descriptors and most often a thread behind, which nobody else can reach.
    """
    made: list[KafkaNetClient] = []

    def make(**configs: object) -> KafkaNetClient:
        net = NetworkSelector(**configs)
        made.append(KafkaNetClient(net=net, manager=Connections(net, **configs), **configs))
        return made[-1]

    try:
        yield make
    except BaseException:
        for client in made:
            client.close()
        # The sockets of refused connections are in reference cycles: a service collects so rarely that it would run
        # out of descriptors first.
        gc.collect()
        raise
