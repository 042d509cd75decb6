"""A proxy through which a cluster's programs reach the outside: it accepts CONNECT and forwards the bytes."""

import select
import socket
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Egress(ThreadingHTTPServer):
    """Opens a tunnel to any requested address, or refuses each request with a status."""

    daemon_threads = True

    def __init__(self, status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = status
        self.asked: list[tuple[str, str | None]] = []  # the requested address and the credentials

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Egress

    def do_CONNECT(self) -> None:
        self.server.asked.append((self.path, self.headers["Proxy-Authorization"]))
        self.close_connection = True
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), 10.0) as target:
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):  # one of the two sides has gone
                _pass_on(self.connection, target)

    def log_message(self, *_: object) -> None:
        """Log nothing: pytest shows what matters."""


def _pass_on(client: socket.socket, target: socket.socket) -> None:
    """Forward bytes until one of the two sides ends, or nothing comes for half a minute."""
    other = {client: target, target: client}
    while readable := select.select([*other], [], [], 30.0)[0]:
        for one in readable:
            data = one.recv(65_536)
            if not data:
                return
            other[one].sendall(data)
