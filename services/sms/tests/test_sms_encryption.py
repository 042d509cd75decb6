"""A provider is spoken to by TLS, if it is the one that is meant."""

import re
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support import certificates
from support.texting import encrypted, listening, notice, provider, scripted

from oms_chassis.jobs.queue import Outcome, Paused
from oms_notifications.notice import sent


def test_a_provider_without_a_certificate_is_not_spoken_to() -> None:
    with scripted() as server, provider(server.url.replace("http:", "https:"), sms_timeout=2.0) as sms:
        outcome = sms.send(notice())
    assert isinstance(outcome, Paused)
    assert re.fullmatch("sms: SSLError: [A-Z0-9_]+", outcome.reason)  # by OpenSSL's name of what is wrong
    assert server.requests == []


@pytest.mark.parametrize(
    ("wrong", "is_trusted", "outcome"),
    [
        ({}, True, sent("sms-7")),
        ({}, False, Paused("sms: SSLCertVerificationError: self-signed")),
        ({"days": -1}, True, Paused("sms: SSLCertVerificationError: expired")),
        ({"host": "127.0.0.2"}, True, Paused("sms: SSLCertVerificationError: of another address")),
    ],
    ids=["right", "self-signed", "expired", "of another address"],
)
def test_a_certificate_that_is_wrong_is_the_provider_s_fault_and_said_to_be_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any], is_trusted: bool, outcome: Outcome
) -> None:
    file = certificates.certificate(tmp_path, **wrong)
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with encrypted(file) as url, provider(url) as sms:
        assert sms.send(notice()) == outcome


@pytest.mark.parametrize("says", [None, b"", b"220 mail.example ESMTP\r\n", b"\x16\x03\x03\x40\x00"])
def test_a_handshake_that_comes_to_nothing_has_an_end_and_is_no_fault_of_the_text(says: bytes | None) -> None:
    """The server is silent; hangs up; speaks another protocol; begins an answer and stops."""

    def serve(connection: socket.socket) -> None:
        with suppress(OSError):
            if says:
                connection.sendall(says)
            while says != b"" and connection.recv(65_536):
                pass

    with listening(serve) as (address, serving):
        with provider(f"https://{address}/sms", sms_timeout=1.0) as sms:
            began = time.monotonic()
            assert isinstance(sms.send(notice()), Paused)
            assert time.monotonic() - began < 4.0
        serving.result(10)
