"""How spans are sent: by a session of `requests` whose calls take no longer than they may, and read no more than a
collector has to say.

Its own time limit is for each piece that arrives: an answer that comes byte by byte is never late.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool

ANSWER_LIMIT = 65_536  # bytes of an answer that are read; a connection with more to come is given up
AGAIN = 0.5  # seconds between two looks at a call whose time is over: its connection may not have been there yet


class Session(requests.Session):
    """Takes the `timeout` of a call for the whole of it."""

    def __init__(self) -> None:
        super().__init__()
        self._adapter = _Adapter()
        self.mount("http://", self._adapter)
        self.mount("https://", self._adapter)

    def send(self, request: requests.PreparedRequest, **how: Any) -> requests.Response:
        until = time.monotonic() + how["timeout"]
        with self._interrupted(how["timeout"]):
            response = super().send(request, **{**how, "stream": True})
        if time.monotonic() >= until:  # an interrupted answer looks like one that has ended
            response.close()
            raise requests.ReadTimeout(request=request)
        response._content = _beginning(response, until)  # noqa: SLF001 - requests has no bound for what it reads
        response.close()
        if 300 <= response.status_code < 400:  # a login, or another address: nobody took the spans
            raise requests.TooManyRedirects(response=response)
        return response

    @contextmanager
    def _interrupted(self, seconds: float) -> Iterator[None]:
        """What takes longer than that ends, from another thread."""
        is_over = threading.Event()
        threading.Thread(target=self._interrupt, args=(seconds, is_over), name="spans-limit", daemon=True).start()
        try:
            yield
        finally:
            is_over.set()

    def _interrupt(self, seconds: float, is_over: threading.Event) -> None:
        while not is_over.wait(seconds):
            self._adapter.interrupt()
            seconds = AGAIN


class _Adapter(HTTPAdapter):
    """Knows the connections that it has opened."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._opened: WeakSet[Any] = WeakSet()

    def get_connection_with_tls_context(self, *args: Any, **how: Any) -> HTTPConnectionPool:
        pool = super().get_connection_with_tls_context(*args, **how)
        open_one = type(pool).ConnectionCls

        def opened(*args: Any, **how: Any) -> Any:
            connection = open_one(*args, **how)
            with self._lock:
                self._opened.add(connection)
            return connection

        pool.ConnectionCls = opened  # type: ignore[assignment] # it is only called
        return pool

    def interrupt(self) -> None:
        """End every wait for an answer."""
        with self._lock:
            sockets = [connection.sock for connection in self._opened]
        for sock in sockets:
            if sock is not None:
                with suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not TLS's, which would change what is read


def _beginning(response: requests.Response, until: float) -> bytes:
    found = b""
    while len(found) < ANSWER_LIMIT and time.monotonic() < until and (more := response.raw.read1(ANSWER_LIMIT)):
        found += more
    return found
