"""Mails go encrypted, and with a login, where that is set."""

import re
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword
from pydantic import SecretStr
from support import certificates
from support.chassis import eventually
from support.mailing import SENT, Script, notice, provider, scripted

from oms_chassis.jobs.queue import Paused
from oms_notifications.notice import InDoubt


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates.certificate(tmp_path_factory.mktemp("tls"))


def guarded(certificate: Path, password: bytes) -> dict[str, Any]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def login(_: Any, __: Any, ___: Any, ____: Any, data: Any) -> AuthResult:
        return AuthResult(success=isinstance(data, LoginPassword) and data.password == password, handled=False)

    demands = {"require_starttls": True, "auth_required": True}
    return {"tls_context": context, "authenticator": login, **demands}


def test_mail_goes_encrypted_and_with_a_login_where_that_is_set(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    script = Script()
    secrets = {"smtp_starttls": True, "smtp_username": "shop"}
    with scripted(script, **guarded(certificate, b"right")) as port:
        with provider(port, smtp_password=SecretStr("right"), **secrets) as smtp:
            assert smtp.send(notice()) == SENT
        with provider(port, smtp_password=SecretStr("wrong"), **secrets) as smtp:
            assert smtp.send(notice()) == Paused("smtp: SMTPAuthenticationError 535")
        with provider(port) as smtp:
            assert smtp.send(notice()) == Paused("smtp: 530 about the sender")
    assert len(script.taken) == 1


def test_mail_goes_encrypted_from_the_first_byte_where_that_is_set(certificate: Path) -> None:
    script, ca = Script(), certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca)
    with scripted(script, ssl_context=context) as port:
        with provider(port, smtp_implicit_tls=True, smtp_ca_file=ca) as smtp:
            assert [smtp.send(notice()) for _ in range(2)] == [SENT, SENT]
        with provider(port, smtp_implicit_tls=True) as smtp:
            assert smtp.send(notice()) == Paused("smtp: SSLCertVerificationError: self-signed")
    assert len(script.taken) == 2


def test_a_server_that_does_not_encrypt_from_the_first_byte_is_said_not_to(certificate: Path) -> None:
    """As port 587 does where the settings are those of 465."""
    with scripted(Script()) as port, provider(port, smtp_implicit_tls=True, smtp_ca_file=certificate) as smtp:
        outcome = smtp.send(notice())
    assert isinstance(outcome, Paused)
    assert re.fullmatch("smtp: SSLError: [A-Z0-9_]+", outcome.reason)


def test_an_encrypted_mail_that_waits_for_its_answer_does_not_hold_up_the_end(certificate: Path) -> None:
    script, ca = Script(thinks=60.0), certificate
    demands = {key: value for key, value in guarded(certificate, b"right").items() if key != "auth_required"}
    with scripted(script, **demands) as port, ThreadPoolExecutor(1) as pool:
        with provider(port, smtp_starttls=True, smtp_ca_file=ca) as smtp:
            sending = pool.submit(smtp.send, notice())
            eventually(lambda: len(script.taken) == 1)
        outcome = sending.result(timeout=20)
    assert isinstance(outcome, InDoubt)


@pytest.mark.parametrize(("wrong", "what"), [({"days": -1}, "expired"), ({"host": "127.0.0.2"}, "of another address")])
def test_a_certificate_that_is_wrong_is_said_to_be_so(tmp_path: Path, wrong: dict[str, Any], what: str) -> None:
    file = certificates.certificate(tmp_path, **wrong)
    settings = {"smtp_starttls": True, "smtp_ca_file": file}
    with scripted(Script(), **guarded(file, b"right")) as port, provider(port, **settings) as smtp:
        assert smtp.send(notice()) == Paused(f"smtp: SSLCertVerificationError: {what}")


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(certificate: Path) -> None:
    with scripted(Script(), **guarded(certificate, b"right")) as port, provider(port, smtp_starttls=True) as smtp:
        assert smtp.send(notice()) == Paused("smtp: SSLCertVerificationError: self-signed")
