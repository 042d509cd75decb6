"""Connections to the brokers, and the translation of their errors."""

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

CLIENT = "oms"  # the client id of all our clients, with which the group's names for them begin


def connection(settings: Settings) -> dict[str, Any]:
    """Return kafka-python's configuration for connecting to the brokers."""
    config = {
        "bootstrap_servers": list(hosts.addresses(settings.kafka_bootstrap)),
        "client_id": CLIENT,
        "bootstrap_timeout_ms": 5_000,
        "reconnect_backoff_ms": 100,
        "reconnect_backoff_max_ms": 1_000,  # the default grows to 30 s, for which orders would wait after an outage
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
    """Turn any error of the client into StreamUnavailable."""
    try:
        yield
    except (KafkaError, OSError) as error:
        raise StreamUnavailable(type(error).__name__) from error


@contextlib.contextmanager
def closed_on_error() -> Iterator[Callable[..., KafkaNetClient]]:
    """Yield a factory of connections, for a client's `kafka_client`, that closes them if the block fails.

    kafka-python 3.0.12: a consumer, producer or admin client that cannot connect raises in its constructor, and leaves
    four descriptors and usually a thread behind, which nobody else can reach.
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
        # The sockets of refused connections are in reference cycles: a service collects garbage so rarely that it would
        # run out of descriptors first.
        gc.collect()
        raise
