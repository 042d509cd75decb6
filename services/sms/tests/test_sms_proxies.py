"""Texts go through the proxy of a cluster."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import ValidationError
from support import certificates
from support.egress import Egress
from support.serving import serving
from support.texting import encrypted, listening, notice, provider, scripted, settings

from oms_chassis.jobs.queue import Paused
from oms_notifications.notice import sent
from oms_servers.testing import free_port


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a provider whose certificate is trusted."""
    file = certificates.certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with encrypted(file) as url:
        yield url


@contextmanager
def egress(monkeypatch: pytest.MonkeyPatch, login: str = "", status: int = 200) -> Iterator[Egress]:
    """A proxy by which https goes out."""
    server = Egress(status)
    monkeypatch.setenv("HTTPS_PROXY", f"http://{login}{server.address}")
    with serving(server):
        yield server


@pytest.mark.parametrize(("login", "sent_login"), [("", None), ("oms:p%40ss@", "Basic b21zOnBAc3M=")])
def test_texts_go_through_the_proxy_of_the_cluster_by_a_tunnel_that_is_kept(
    trusted: str, monkeypatch: pytest.MonkeyPatch, login: str, sent_login: str | None
) -> None:
    with egress(monkeypatch, login) as proxy, provider(trusted) as sms:
        assert [sms.send(notice(order)) for order in ("o-1", "o-2")] == [sent("sms-7")] * 2
    assert proxy.asked == [(urlsplit(trusted).netloc, sent_login)]


def test_a_provider_that_needs_no_proxy_is_called_directly(trusted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "10.0.0.1,127.0.0.1")
    with egress(monkeypatch) as proxy, provider(trusted) as sms:
        assert sms.send(notice()) == sent("sms-7")
    assert proxy.asked == []


def test_a_provider_without_https_is_called_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    with egress(monkeypatch) as proxy, scripted() as server, provider(server.url) as sms:
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
        assert sms.send(notice()) == sent("sms-7")
    assert proxy.asked == []


@pytest.mark.parametrize(("status", "why"), [(407, "ProxyLoginRefused"), (502, "TunnelRefused")])
def test_a_proxy_that_refuses_is_no_fault_of_the_text(
    trusted: str, monkeypatch: pytest.MonkeyPatch, status: int, why: str
) -> None:
    with egress(monkeypatch, status=status), provider(trusted) as sms:
        assert sms.send(notice()) == Paused(f"sms: {why}")


def test_a_proxy_that_is_away_is_tried_again(trusted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    with provider(trusted) as sms:
        assert sms.send(notice()) == Paused("sms: ConnectionRefusedError")


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: "])
def test_a_tunnel_that_does_not_come_about_has_an_end(
    trusted: str, monkeypatch: pytest.MonkeyPatch, says: bytes
) -> None:
    """The proxy is silent; it goes on and on, a byte at a time."""

    def serve(connection: socket.socket) -> None:
        with suppress(OSError):
            connection.settimeout(0.1)
            connection.sendall(says)
            while True:
                with suppress(TimeoutError):
                    if not connection.recv(65_536):
                        return
                connection.sendall(b"x" if says else b"")

    with listening(serve) as (address, proxying):
        monkeypatch.setenv("HTTPS_PROXY", address)
        with provider(trusted, sms_timeout=1.0, sms_call_seconds=2.0) as sms:
            began = time.monotonic()
            assert sms.send(notice()) == Paused("sms: TimeoutError")
            assert time.monotonic() - began < 4.0
        proxying.result(10)


@pytest.mark.parametrize(
    "proxy", ["https://oms:secret@proxy:3128", "socks5://oms:secret@proxy", "http://", "http://p:x"]
)
def test_a_proxy_by_which_no_text_could_go_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ValidationError, match="HTTPS_PROXY") as refusal:
        settings("https://example.com/sms")
    assert "secret" not in str(refusal.value)
    settings("http://example.com/sms")
