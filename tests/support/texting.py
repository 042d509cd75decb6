"""The SMS provider, with servers that answer as a test plans."""

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

from oms_chassis.jobs.queue import Outcome
from oms_notifications.notice import Notice
from oms_sms.provider import HttpSmsProvider
from oms_sms.settings import SmsSettings
from support.serving import serving

Result = TypeVar("Result")


HANG_UP, HANG_UP_AFTER_TAKING, TOO_MUCH, PAGE, TOO_DEEP = -1, -2, -3, -4, -5
BODIES = {TOO_MUCH: b"x" * 200_000, TOO_DEEP: b"[" * 60_000}


def settings(url: str, **changes: Any) -> SmsSettings:
    """Return the settings of a service that sends to this URL."""
    given = {"database_url": "postgresql://unused", "kafka_bootstrap": "unused:1", "sms_url": url, "sms_from": "OMS"}
    return SmsSettings(**{**given, **changes})


@contextmanager
def provider(url: str, **changes: Any) -> Iterator[HttpSmsProvider]:
    """Yield a provider that uses this URL."""
    made = HttpSmsProvider(settings(url, **changes))
    try:
        yield made
    finally:
        made.close()


@contextmanager
def listening(serve: Callable[[socket.socket], Result]) -> Iterator[tuple[str, "Future[Result]"]]:
    """Yield an address, and the future result of `serve`, which gets the first connection, in a thread."""

    def accept(listener: socket.socket) -> Result:
        connection, _ = listener.accept()
        with connection:
            return serve(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(20.0)
        yield f"127.0.0.1:{listener.getsockname()[1]}", pool.submit(accept, listener)


def notice(order_id: str = "o-1", to: str = "+94762222222") -> Notice:
    """Return a notice to this number."""
    return Notice(order_id, "confirmed", to, "Your order is confirmed")


class Script(ThreadingHTTPServer):
    """A provider with planned answers, and then only positive ones. It sends one SMS per key."""

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
        """Close every connection."""
        for connection in self.open:
            connection.shutdown(socket.SHUT_RDWR)

    @property
    def url(self) -> str:
        """The URL at which it receives SMS."""
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
    """Run a provider that gives these answers."""
    with serving(Script(*answers)) as server:
        yield server


def outcomes(server: Script, calls: int = 1) -> list[Outcome]:
    """Send this many SMS, and return their outcomes."""
    with provider(server.url) as sms:
        return [sms.send(notice()) for _ in range(calls)]


@contextmanager
def encrypted(file: Path) -> Iterator[str]:
    """Yield the URL of a provider with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server = Script()
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with serving(server):
        yield server.url.replace("http:", "https:")
