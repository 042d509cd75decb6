"""Settings that cannot work are refused at the start: later, they look like a broker or a provider that is away."""

from typing import Any

import pytest
from pydantic import ValidationError

from oms_chassis.settings import Settings

LOGIN = {"kafka_sasl_mechanism": "SCRAM-SHA-512", "kafka_username": "shop", "kafka_password": "secret"}


def settings(**given: Any) -> Settings:
    return Settings(**{"database_url": "postgresql://x", "kafka_bootstrap": "x:1", **given})


HALVES = [
    ("kafka_sasl_mechanism", None),
    ("kafka_username", None),
    ("kafka_username", ""),
    ("kafka_password", None),
    ("kafka_password", ""),
]


@pytest.mark.parametrize(("half", "value"), HALVES)
def test_half_a_login_to_the_brokers_is_refused(half: str, value: str | None) -> None:
    assert settings(kafka_security_protocol="SASL_SSL", **LOGIN).kafka_username == "shop"
    with pytest.raises(ValidationError, match=r"SASL_SSL: it takes .*OMS_KAFKA_PASSWORD"):
        settings(kafka_security_protocol="SASL_SSL", **{**LOGIN, half: value})


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL"])
def test_a_login_that_would_not_be_sent_is_refused(protocol: str) -> None:
    with pytest.raises(ValidationError, match=f"OMS_KAFKA_SECURITY_PROTOCOL is {protocol}"):
        settings(kafka_security_protocol=protocol, **LOGIN)


@pytest.mark.parametrize("name", ["kafka_username", "kafka_password"])
@pytest.mark.parametrize("text", ["secret\n", "secret\r\n", "\tsecret", "  "])
def test_what_came_along_from_a_file_is_no_part_of_a_login(name: str, text: str) -> None:
    with pytest.raises(ValidationError, match="must be on one line") as refusal:
        settings(kafka_security_protocol="SASL_SSL", **{**LOGIN, name: text})
    assert refusal.value.errors()[0]["loc"] == (name,)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("bootstrap", ["kafka:port", "kafka 9092", ","])
def test_an_address_that_leads_to_no_broker_is_refused(bootstrap: str) -> None:
    with pytest.raises(ValidationError, match="kafka_bootstrap"):
        settings(kafka_bootstrap=bootstrap)
