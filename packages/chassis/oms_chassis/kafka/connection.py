"""How the brokers are reached, and what their errors mean to a caller."""

import contextlib
from collections.abc import Iterator
from typing import Any

from kafka.errors import KafkaError

from oms_chassis.settings import Settings
from oms_chassis.streams import StreamUnavailable


def connection(settings: Settings) -> dict[str, Any]:
    """How to reach the brokers, as kafka-python takes it."""
    config = {
        "bootstrap_servers": settings.kafka_bootstrap.split(","),
        "client_id": "oms",
        "bootstrap_timeout_ms": 5_000,
        "reconnect_backoff_ms": 100,
        "reconnect_backoff_max_ms": 1_000,  # the default grows to 30 s, and orders would wait for it after an outage
        "security_protocol": settings.kafka_security_protocol,
        "sasl_mechanism": settings.kafka_sasl_mechanism,
        "sasl_plain_username": settings.kafka_username,
        "sasl_plain_password": settings.kafka_password and settings.kafka_password.get_secret_value(),
        "ssl_cafile": settings.kafka_ca_file,
        "ssl_certfile": settings.kafka_cert_file,
        "ssl_keyfile": settings.kafka_key_file,
    }
    return {name: value for name, value in config.items() if value is not None}


@contextlib.contextmanager
def unavailable_on_error() -> Iterator[None]:
    """Any error of the client becomes StreamUnavailable."""
    try:
        yield
    except (KafkaError, OSError) as error:
        raise StreamUnavailable(type(error).__name__) from error
