"""The way by HTTP: against the mail catcher, and against a provider that refuses, fails and hangs up."""

import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr, ValidationError
from support import certificates
from support.egress import Egress
from support.notices import running_mail_catcher
from support.serving import serving

from oms_chassis.jobs.queue import Done, Outcome, Paused, Retry, Unavailable
from oms_notifications.notice import Notice, refused, sent, turned_down
from oms_servers.testing import free_port
from oms_sms.provider import HttpSmsProvider
from oms_sms.settings import SmsSettings

Result = TypeVar("Result")
HANG_UP, HANG_UP_AFTER_TAKING, TOO_MUCH, PAGE, TOO_DEEP = -1, -2, -3, -4, -5
BODIES = {TOO_MUCH: b"x" * 200_000, TOO_DEEP: b"[" * 60_000}


def settings(url: str, **changes: Any) -> SmsSettings:
    given = {"database_url": "postgresql://unused", "kafka_bootstrap": "unused:1", "sms_url": url, "sms_from": "OMS"}
    return SmsSettings(**{**given, **changes})


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine of these tests has."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@contextmanager
def provider(url: str, **changes: Any) -> Iterator[HttpSmsProvider]:
    made = HttpSmsProvider(settings(url, **changes))
    try:
        yield made
    finally:
        made.close()


@contextmanager
def listening(serve: Callable[[socket.socket], Result]) -> Iterator[tuple[str, "Future[Result]"]]:
    """A host and a port, and what comes of their first connection, which this function has in a thread."""

    def accept(listener: socket.socket) -> Result:
        connection, _ = listener.accept()
        with connection:
            return serve(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(20.0)
        yield f"127.0.0.1:{listener.getsockname()[1]}", pool.submit(accept, listener)


def notice(order_id: str = "o-1", to: str = "+94762222222") -> Notice:
    return Notice(order_id, "confirmed", to, "Your order is confirmed")


class Script(ThreadingHTTPServer):
    """A provider whose answers a test gives it, then yes for ever. It sends one text per key."""

    daemon_threads = True

    def __init__(self, *answers: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = list(answers)
        self.requests: list[dict[str, str]] = []
        self.texts: dict[str, dict[str, str]] = {}
        self.connections = 0
        self.open: list[socket.socket] = []
        self.retry_after: str | None = None

    def hang_up_all(self) -> None:
        for connection in self.open:
            connection.shutdown(socket.SHUT_RDWR)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/sms?unit=1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Script

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1
        self.server.open.append(self.connection)

    def do_POST(self) -> None:
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append({"path": self.path, **self.headers})
        status = self.server.answers.pop(0) if self.server.answers else 201
        if status in {201, HANG_UP_AFTER_TAKING, *BODIES}:
            self.server.texts.setdefault(self.headers["Idempotency-Key"], text)
        if status in {HANG_UP, HANG_UP_AFTER_TAKING}:
            self.close_connection = True
            return
        body = BODIES.get(status, b'{"id": "sms-7"}')
        self.send_response({TOO_MUCH: 201, TOO_DEEP: 201, PAGE: 200}.get(status, status))
        if status == PAGE:
            self.send_header("Content-Type", "text/html; charset=utf-8")
        if self.server.retry_after is not None:
            self.send_header("Retry-After", self.server.retry_after)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


@contextmanager
def scripted(*answers: int) -> Iterator[Script]:
    with serving(Script(*answers)) as server:
        yield server


def outcomes(server: Script, calls: int = 1) -> list[Outcome]:
    with provider(server.url) as sms:
        return [sms.send(notice()) for _ in range(calls)]


def test_a_text_arrives_as_it_was_written_and_once(tmp_path: Path) -> None:
    with (
        running_mail_catcher(tmp_path, free_port(), free_port()) as catcher,
        provider(f"{catcher.url}/sms") as sms,
        ThreadPoolExecutor(8) as pool,
    ):
        found = list(pool.map(lambda number: sms.send(notice(f"o-{number % 200}")), range(400)))
        assert all(isinstance(outcome, Done) for outcome in found)
        assert catcher.counts()["sms"] == 200
        (text,) = catcher.messages(orderId="o-7")
    assert (text["to"], text["text"]) == ("+94762222222", "Your order is confirmed")


def test_what_the_provider_is_asked_for() -> None:
    with scripted() as server, provider(server.url, sms_token=SecretStr("token")) as sms:
        assert sms.send(notice()) == sent("sms-7")
    assert server.texts == {
        "o-1.confirmed": {
            "to": "+94762222222",
            "from": "OMS",
            "text": "Your order is confirmed",
            "reference": "o-1",
        }
    }
    assert server.requests[0]["path"] == "/v1/sms?unit=1"
    assert server.requests[0]["Authorization"] == "Bearer token"


@pytest.mark.parametrize("to", ["", "762222222", "(077) 123", "+94 76", "0094762222222", "+0762222222", "+9476222222²"])
def test_a_number_that_the_provider_would_have_to_guess_gets_no_text(to: str) -> None:
    with scripted() as server, provider(server.url) as sms:
        assert sms.send(notice(to=to)) == refused("no number that a text can be sent to")
    assert server.requests == []


def test_connections_are_used_again() -> None:
    with scripted() as server:
        assert outcomes(server, 5) == [sent("sms-7")] * 5
    assert server.connections == 1


@pytest.mark.parametrize(
    ("statuses", "kind"),
    [
        ([401, 402, 404, 405, 406, 407, 410, 411, 415, 421, 426, 428, 429, 431, 503], Paused),
        ([301, 302, 307, 308, 500, 501, 502, 504, 599], Unavailable),
        ([403, 451], Unavailable),  # of this number, perhaps: one text is not to be tried for ever
        ([408, 409, 425], Retry),
    ],
)
def test_what_may_be_repaired_is_tried_again_under_the_same_key(
    statuses: list[int], kind: Callable[[str], Outcome]
) -> None:
    with scripted(*statuses) as server:
        assert outcomes(server, len(statuses) + 1) == [*(kind(f"sms: {status}") for status in statuses), sent("sms-7")]
    assert {request["Idempotency-Key"] for request in server.requests} == {"o-1.confirmed"}


def in_an_hour() -> str:
    return formatdate(time.time() + 3600, usegmt=True)


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        (lambda: "30", 30.0, 30.0),
        (lambda: " 30 \t", 30.0, 30.0),
        (lambda: "0", 0.0, 0.0),
        (in_an_hour, 3000.0, 3600.0),
        (lambda: time.asctime(time.gmtime(time.time() + 3600)), 3000.0, 3600.0),
        (lambda: "Sun, 06 Nov 1994 08:49:37 GMT", 0.0, 0.0),
    ],
    ids=["seconds", "seconds among spaces", "at once", "date", "date as of asctime", "long ago"],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_provider_that_wants_fewer_calls_says_for_how_long(
    status: int, header: Callable[[], str], least: float, most: float
) -> None:
    with scripted(status) as server:
        server.retry_after = header()
        (outcome,) = outcomes(server)
    assert isinstance(outcome, Paused)
    assert outcome.seconds is not None
    assert least <= outcome.seconds <= most


@pytest.mark.parametrize("header", ["", "soon", "-1", "1e9", "Thu, 01 Jan 99999999999 00:00:00 GMT", "nan", "inf"])
def test_a_time_that_cannot_be_read_is_none(header: str) -> None:
    with scripted(429) as server:
        server.retry_after = header
        assert outcomes(server) == [Paused("sms: 429")]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_permanent_no_may_be_about_our_sender_and_the_text_is_kept(status: int) -> None:
    with scripted(status) as server:
        assert outcomes(server) == [turned_down(f"sms: {status}")]
    assert server.texts == {}


def test_a_provider_that_takes_a_text_and_hangs_up_sends_it_once() -> None:
    with scripted(HANG_UP_AFTER_TAKING) as server:
        assert outcomes(server, 2) == [Unavailable("sms: RemoteDisconnected"), sent("sms-7")]
    assert len(server.requests) == 2
    assert len(server.texts) == 1


def test_a_connection_that_breaks_is_replaced_for_the_next_try() -> None:
    with scripted(201, HANG_UP) as server:
        first, second, third = outcomes(server, 3)
    assert (first, third) == (sent("sms-7"), sent("sms-7"))
    assert isinstance(second, Unavailable)


def test_a_provider_that_trickles_its_answer_does_not_hold_a_call_for_ever() -> None:
    over = threading.Event()

    def trickle(connection: socket.socket) -> None:
        with suppress(OSError):
            connection.sendall(b"HTTP/1.1 201 Created\r\nX-Slow: ")
            while not over.wait(0.1):
                connection.sendall(b"x")

    with listening(trickle) as (address, serving):
        with provider(f"http://{address}/sms", sms_call_seconds=1.0) as sms:
            began = time.monotonic()
            assert sms.send(notice()) == Unavailable("sms: TimeoutError")
            assert time.monotonic() - began < 10
        over.set()
        serving.result(10)


@pytest.mark.parametrize("answer", BODIES)
def test_an_answer_that_is_too_long_or_no_json_is_still_a_yes(answer: int) -> None:
    with scripted(answer) as server:
        assert outcomes(server, 2) == [sent("o-1.confirmed"), sent("sms-7")]


@pytest.mark.parametrize("early", ["100 Continue", "102 Processing", "103 Early Hints\r\nLink: </style.css>"])
def test_what_a_provider_says_before_its_answer_is_no_answer(early: str) -> None:
    """RFC 9110, 15.2. Taken for one, the answer to this text would be that of the next one."""

    def serve(connection: socket.socket) -> None:
        with connection.makefile("rb") as requests:
            for answer in (
                "422 Unprocessable\r\nContent-Length: 0",
                '201 Created\r\nContent-Length: 10\r\n\r\n{"id":"7"}',
            ):
                head = b"".join(iter(requests.readline, b"\r\n")).decode()
                requests.read(int(re.findall(r"Content-Length: (\d+)", head)[0]))
                end = "" if "{" in answer else "\r\n\r\n"
                connection.sendall(f"HTTP/1.1 {early}\r\n\r\nHTTP/1.1 {early}\r\n\r\nHTTP/1.1 {answer}{end}".encode())

    with listening(serve) as (address, serving):
        with provider(f"http://{address}/sms", sms_call_seconds=5.0) as sms:
            assert [sms.send(notice(order)) for order in ("o-1", "o-2")] == [turned_down("sms: 422"), sent("7")]
        serving.result(10)


LONG = json.dumps({"id": "sms-7", "echo": "x" * 30_000}).encode()  # it does not come with its head


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(LONG), LONG),
        b"HTTP/1.1 201 Created\r\nConnection: close\r\n\r\n%s" % LONG,
        b"HTTP/1.0 201 Created\r\n\r\n%s" % LONG,
        b"HTTP/1.1 201 Created\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
        % (len(LONG), LONG),
    ],
    ids=["of a length", "until the end", "HTTP/1.0", "chunked"],
)
def test_the_last_answer_of_a_connection_is_read_to_its_end(answer: bytes) -> None:
    """http.client lets go of a connection before it has read such an answer."""

    def serve(connection: socket.socket) -> bytes:
        connection.recv(65536)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(1)

    with listening(serve) as (address, serving), provider(f"http://{address}/sms", sms_call_seconds=5.0) as sms:
        assert sms.send(notice()) == sent("sms-7")
        assert serving.result(10) == b""  # and the connection is closed here, too


BROKEN = {
    "shorter than its length": b'Content-Length: 99\r\n\r\n{"id": "7"}',
    "of no length": b'Content-Length: many\r\n\r\n{"id": "7"}',
    "chunks that do not end": b'Transfer-Encoding: chunked\r\n\r\nb\r\n{"id": "7"}\r\n',
    "chunks of no size": b'Transfer-Encoding: chunked\r\n\r\nwhat?\r\n{"id": "7"}\r\n0\r\n\r\n',
    "chunks below nothing": b'Transfer-Encoding: chunked\r\n\r\n-b\r\n{"id": "7"}\r\n0\r\n\r\n',
    "coded in two ways": b'Transfer-Encoding: gzip, chunked\r\n\r\nb\r\n{"id": "7"}\r\n0\r\n\r\n',
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize(
    ("head", "outcome"),
    [
        (b"201 Created", sent("o-1.confirmed")),
        (b"422 No", turned_down("sms: 422")),
        (b"429 Wait\r\nRetry-After: 7", Paused("sms: 429", 7.0)),
        (b"200 OK\r\nContent-Type: text/html", Paused("sms: 200 with a web page")),
    ],
    ids=["yes", "no", "later", "page"],
)
def test_an_answer_counts_though_its_body_cannot_be_read_to_its_end(head: bytes, outcome: Outcome, body: bytes) -> None:
    """Else a text that was taken would be tried again for hours, and so would one that was refused, with the queue
    paused for it."""

    def serve(connection: socket.socket) -> bytes:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 %s\r\n%s" % (head, body))
        return connection.recv(1)

    with listening(serve) as (address, serving), provider(f"http://{address}/sms", sms_timeout=0.3) as sms:
        assert sms.send(notice()) == outcome
        assert serving.result(10) == b""  # and nothing else is asked by this connection


def test_a_web_page_in_the_provider_s_place_is_no_yes() -> None:
    """That of a proxy, of a login, or of works on the line: no text was taken."""
    with scripted(PAGE) as server:
        assert outcomes(server, 2) == [Paused("sms: 200 with a web page"), sent("sms-7")]
        assert len(server.texts) == 1


def test_a_provider_that_is_away_is_tried_again() -> None:
    with provider(f"http://127.0.0.1:{free_port()}/sms") as sms:
        assert sms.send(notice()) == Paused("sms: ConnectionRefusedError")


def test_a_provider_without_a_certificate_is_not_spoken_to() -> None:
    with scripted() as server, provider(server.url.replace("http:", "https:"), sms_timeout=2.0) as sms:
        outcome = sms.send(notice())
    assert isinstance(outcome, Paused)
    assert re.fullmatch("sms: SSLError: [A-Z0-9_]+", outcome.reason)  # by OpenSSL's name of what is wrong
    assert server.requests == []


@contextmanager
def encrypted(file: Path) -> Iterator[str]:
    """The URL of a provider that has a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server = Script()
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with serving(server):
        yield server.url.replace("http:", "https:")


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
    """The server is silent; it hangs up; it speaks another protocol; it begins, and says no more."""

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


ADDRESSES = ["", "ftp://example.com", "example.com/sms", "http:///sms", "http://example.com/a b", "http://a.lk/ä"]


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_that_is_none_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValidationError, match="sms_url"):
        settings(url)


@pytest.mark.parametrize(
    ("address", "path"),
    [("", "/"), ("/", "/"), ("?key=1", "/?key=1"), ("/?key=1", "/?key=1"), ("/v1/sms?to=a@b", "/v1/sms?to=a@b")],
)
def test_a_text_goes_to_the_path_and_the_query_of_the_address(address: str, path: str) -> None:
    with scripted() as server, provider(f"http://127.0.0.1:{server.server_address[1]}{address}") as sms:
        assert sms.send(notice()) == sent("sms-7")
    assert [one["path"] for one in server.requests] == [path]


@pytest.mark.parametrize(
    "url", ["https://user:pass@a.lk/sms", "https://key@a.lk", "https://a.lk/sms#key", "https://a.lk#key", "https://a@"]
)
def test_what_would_not_be_sent_of_an_address_is_refused_with_where_a_token_belongs(url: str) -> None:
    with pytest.raises(ValidationError, match="OMS_SMS_TOKEN") as refusal:
        settings(url)
    assert {str(error["loc"][0]) for error in refusal.value.errors()} == {"sms_url"}
    assert "pass" not in str(refusal.value)


@pytest.mark.parametrize("host", ["sms..example.com", f"{'x' * 64}.example.com"])
def test_a_host_that_cannot_be_looked_up_is_refused_at_the_start(host: str) -> None:
    with pytest.raises(ValidationError, match="is no name of a host"):
        settings(f"http://{host}/sms")


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("https://[2001:db8::5]/sms", ("2001:db8::5", 443)),
        ("http://[2001:db8::abcd]", ("2001:db8::abcd", 80)),
        ("http://[2001:db8::5]:8080/sms", ("2001:db8::5", 8080)),
        ("https://example.com/sms", ("example.com", 443)),
    ],
)
def test_a_call_goes_to_the_host_and_the_port_of_the_address(
    monkeypatch: pytest.MonkeyPatch, url: str, where: tuple[str, int]
) -> None:
    asked: list[Any] = []

    def refuse(address: Any, *_: Any) -> socket.socket:
        asked.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    with provider(url) as sms:
        assert sms.send(notice()) == Paused("sms: ConnectionRefusedError")
    assert asked == [where]


@pytest.mark.parametrize("sender", ["  ", "OMS\n"])
def test_a_sender_that_nobody_can_see_is_refused_at_the_start(sender: str) -> None:
    with pytest.raises(ValidationError, match="sms_from"):
        settings("https://example.com/sms", sms_from=sender)


@pytest.mark.parametrize("port", ["0", "70000", "abc"])
def test_a_port_that_is_none_is_refused_at_the_start(port: str) -> None:
    with pytest.raises(ValidationError, match=r"[Pp]ort"):
        settings(f"http://example.com:{port}/sms")


@pytest.mark.parametrize("token", ["", "two words", "token\n", "tökèn"])
def test_a_token_that_no_header_can_carry_is_refused_at_the_start(token: str) -> None:
    with pytest.raises(ValidationError, match="visible ASCII"):
        settings("https://example.com/sms", sms_token=SecretStr(token))


def test_a_connection_that_the_provider_closed_meanwhile_is_not_used_again() -> None:
    with scripted() as server, provider(server.url) as sms:
        assert sms.send(notice()) == sent("sms-7")
        server.hang_up_all()
        assert sms.send(notice()) == sent("sms-7")
    assert server.connections == 2


def test_a_request_goes_out_in_one_packet() -> None:
    """http.client sends the body by itself, which wakes the provider twice."""

    def serve(connection: socket.socket) -> list[bytes]:
        requests = []
        for _ in range(20):
            requests.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        return requests

    with listening(serve) as (address, serving):
        with provider(f"http://{address}/sms", sms_call_seconds=5.0) as sms:
            for _ in range(20):
                assert sms.send(notice()) == sent("o-1.confirmed")
        assert all(request.endswith(b"}") for request in serving.result(10))


def test_a_provider_that_is_silent_is_not_waited_for_longer_than_for_an_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/sms"
        with provider(url, sms_timeout=0.3, sms_call_seconds=60.0) as sms:
            began = time.monotonic()
            assert sms.send(notice()) == Unavailable("sms: TimeoutError")
            assert time.monotonic() - began < 20


def test_a_provider_that_takes_nothing_in_is_not_waited_for_either() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/sms"
        long = Notice("o-1", "confirmed", "+94762222222", "x" * 16_000_000)
        with provider(url, sms_timeout=0.3, sms_call_seconds=1.0) as sms:
            assert sms.send(long) == Unavailable("sms: TimeoutError")
