"""Settings that cannot work are refused at the start: later they would look like an unavailable broker or provider."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs
from support import certificates

from oms_chassis.runtime import access
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
def test_a_login_with_a_line_end_is_refused(name: str, text: str) -> None:
    with pytest.raises(ValidationError, match="must be on one line") as refusal:
        settings(kafka_security_protocol="SASL_SSL", **{**LOGIN, name: text})
    assert refusal.value.errors()[0]["loc"] == (name,)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("bootstrap", ["kafka:port", "kafka 9092", ","])
def test_an_address_that_leads_to_no_broker_is_refused(bootstrap: str) -> None:
    with pytest.raises(ValidationError, match="kafka_bootstrap"):
        settings(kafka_bootstrap=bootstrap)


@pytest.mark.parametrize(
    ("file", "why"), [("/nowhere/ca.crt", "is no file"), (__file__, "no certificates"), ("/", "no certificates")]
)
def test_an_invalid_file_of_authorities_is_refused_by_its_name(file: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why) as refusal:
        settings(kafka_security_protocol="SSL", kafka_ca_file=file)
    assert refusal.value.errors()[0]["loc"] == ("kafka_ca_file",)


def test_a_certificate_for_the_brokers_comes_with_its_key(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    own, other = certificates.certificate(tmp_path), certificates.certificate(tmp_path / "other")
    assert settings(kafka_ca_file=own, kafka_cert_file=own, kafka_key_file=own).kafka_cert_file == own
    for files in ({"cert": own, "key": other}, {"cert": own, "key": "/nowhere"}, {"cert": "/nowhere"}, {"key": own}):
        with pytest.raises(ValidationError, match="OMS_KAFKA_KEY_FILE"):
            settings(**{f"kafka_{name}_file": file for name, file in files.items()})


@pytest.mark.parametrize(
    ("protocol", "mechanism", "shown"),
    [("SASL_PLAINTEXT", "PLAIN", True), ("SASL_PLAINTEXT", "SCRAM-SHA-512", False), ("SASL_SSL", "PLAIN", False)],
)
def test_a_password_sent_to_the_brokers_in_plain_text_is_logged(protocol: str, mechanism: str, shown: bool) -> None:
    login = {**LOGIN, "kafka_sasl_mechanism": mechanism}
    with capture_logs() as lines:
        access.announce(settings(kafka_security_protocol=protocol, **login), is_public=False)
    assert [line["event"] for line in lines] == ["kafka_password_in_the_clear"] * shown
