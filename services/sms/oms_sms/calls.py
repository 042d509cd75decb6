"""Calls to the SMS provider: http.client over connections that stay open, each call with a deadline.

A client that models requests, URLs, headers and cookies would cost more than everything else that is done for a text.
"""

import io
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, parse_headers
from queue import Empty, LifoQueue
from urllib.parse import urlsplit

from oms_notifications.answers import Answers, is_silent, left
from oms_sms import proxies

KEPT_SECONDS = 30.0  # how long a connection may be idle
SWITCHED = 101  # Switching Protocols, which nobody asked for
_PORTS = {"http": 80, "https": 443}
_ANSWER_LIMIT = 65_536  # bytes of an answer that are read; a connection with more to come is given up


class NotReached(OSError):
    """No connection could be made, so the provider has seen nothing. The cause is the original error."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The provider's response."""

    status: int
    headers: Message
    body: bytes


class Calls:
    """POSTs to one address from any number of threads. Times are in seconds: for each step, and for a whole call."""

    def __init__(self, url: str, headers: Mapping[str, str], step_seconds: float, call_seconds: float) -> None:
        parts = urlsplit(url)
        # Always with a port: http.client would take the last part of an IPv6 address for the port.
        self._host, self._port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"Content-Type": "application/json", "Accept": "application/json", **headers}
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._proxy = proxies.before(self._host, self._port) if self._tls is not None else None
        self._step_seconds, self._call_seconds = step_seconds, call_seconds
        self._idle: LifoQueue[tuple[HTTPConnection, float]] = LifoQueue()

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Make one call. Raises NotReached, OSError or HTTPException, after closing the connection."""
        deadline = time.monotonic() + self._call_seconds
        connection = self._kept() or self._connect(deadline)
        sock = connection.sock
        try:
            connection.sock = _Bounded(sock, deadline, self._step_seconds)
            connection.request("POST", self._path, body, {**self._headers, **headers})
            answer, is_whole = _read(connection)
        except BaseException:
            sock.close()
            raise
        if is_whole and connection.sock is not None:
            connection.sock = sock
            self._idle.put((connection, time.monotonic()))
        else:
            sock.close()
        return answer

    def close(self) -> None:
        """Close the idle connections."""
        with suppress(Empty):
            while True:
                self._idle.get_nowait()[0].close()

    def _kept(self) -> HTTPConnection | None:
        """Return an open connection from which nothing is left to be read, or None."""
        with suppress(Empty):
            while True:
                connection, since = self._idle.get_nowait()
                if time.monotonic() - since < KEPT_SECONDS and is_silent(connection.sock):
                    return connection
                connection.close()
        return None

    def _connect(self, deadline: float) -> HTTPConnection:
        connection: HTTPConnection = (
            HTTPConnection(self._host, self._port)
            if self._tls is None
            else HTTPSConnection(self._host, self._port, context=self._tls)
        )
        connection.response_class = _FinalResponse
        try:
            connection.sock = self._reach(deadline)
        except (OSError, HTTPException) as error:
            raise NotReached from error
        return connection

    def _reach(self, deadline: float) -> socket.socket:
        """As http.client would, through the proxy if there is one, but for the time that it may take."""
        address = self._proxy.address if self._proxy else (self._host, self._port)
        sock = _first_to_answer(address, min(self._step_seconds, left(deadline)))
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._proxy is not None:
                self._proxy.open_tunnel(_Bounded(sock, deadline, self._step_seconds), self._host, self._port)
            sock.settimeout(min(self._step_seconds, left(deadline)))
            return sock if self._tls is None else self._tls.wrap_socket(sock, server_hostname=self._host)
        except BaseException:
            sock.close()
            raise


def _first_to_answer(address: tuple[str, int], seconds: float) -> socket.socket:
    """A connection, within so many seconds for all of a host's addresses. socket.create_connection allows as many for
    each: those that never answer, such as IPv6's where only IPv4 gets through, would leave no time for the others."""
    deadline = time.monotonic() + seconds
    found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
    for behind, (family, kind, protocol, _, where) in zip(reversed(range(len(found))), found, strict=True):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(left(deadline) / (behind + 1))
            sock.connect(where)
        except OSError:
            sock.close()
            if not behind:
                raise
        else:
            return sock
    raise OSError("a name without an address")


class _FinalResponse(HTTPResponse):
    """Skips interim responses (RFC 9110, 15.2). http.client only skips 100; it would take any other for the response,
    and the response for that of the next call."""

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc] # typeshed does not have it
            if not 100 < status < 200 or status == SWITCHED:
                return version, status, reason
            parse_headers(self.fp)


class _Bounded:
    """What http.client uses as a connection's socket, with the deadline of one call."""

    def __init__(self, sock: socket.socket, deadline: float, step_seconds: float) -> None:
        self._sock, self._deadline, self._step_seconds = sock, deadline, step_seconds
        self._unsent: list[bytes] = []

    def close(self) -> None:
        """Do nothing: http.client closes it when it has only read the head of a last response. Its owner closes it."""

    def sendall(self, data: bytes) -> None:
        self._unsent.append(data)  # http.client sends the head and the body of a request separately

    def makefile(self, _: str) -> io.BufferedReader:
        """Send the request, which is complete now, and return the file from which the response is read."""
        self._sock.settimeout(min(self._step_seconds, left(self._deadline)))
        self._sock.sendall(b"".join(self._unsent))
        return io.BufferedReader(Answers(self._sock, self._deadline, self._step_seconds))


def _read(connection: HTTPConnection) -> tuple[Answer, bool]:
    """Return the response, and whether nothing of it is left to be read."""
    response = connection.getresponse()
    body, is_whole = _body(response)
    return Answer(response.status, response.headers, body), is_whole


def _body(response: HTTPResponse) -> tuple[bytes, bool]:
    """Return as much of the body as can be read, and whether that is all. A body that breaks off is no error: the
    provider has already reported the outcome in the status."""
    body = b""
    with suppress(OSError, HTTPException, ValueError):  # ValueError: a chunk with a negative size
        body = response.read(_ANSWER_LIMIT)
        return body, response.status != SWITCHED and (response.isclosed() or not response.read(1))
    return body, False
