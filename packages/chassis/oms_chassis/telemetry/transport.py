"""Sends spans by a session of `requests` with limits for the time of a call and the size of the answer.

The library's own time limit is per read: an answer that arrives byte by byte is never late.
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

ANSWER_LIMIT = 65_536  # bytes of an answer that are read; a connection with more is dropped
# seconds between two interruptions of a call whose time is over: its connection may not have existed the first time
AGAIN = 0.5


class Session(requests.Session):
    """Applies the `timeout` of a call to the whole of it."""

    def __init__(self) -> None:
        super().__init__()
        self._adapter = _Adapter()
        self.mount("http://", self._adapter)
        self.mount("https://", self._adapter)

    def send(self, request: requests.PreparedRequest, **how: Any) -> requests.Response:
        until = time.monotonic() + how["timeout"]
        with self._interrupted(how["timeout"]):
            response = super().send(request, **{**how, "stream": True})
        if time.monotonic() >= until:  # an interrupted answer looks like a complete one
            response.close()
            raise requests.ReadTimeout(request=request)
        response._content = _beginning(response, until)  # noqa: SLF001 - requests cannot limit what it reads
        response.close()
        if 300 <= response.status_code < 400:  # a login page or another address: nobody accepted the spans
            raise requests.TooManyRedirects(response=response)
        return response

    @contextmanager
    def _interrupted(self, seconds: float) -> Iterator[None]:
        """Interrupt the block from another thread if it takes longer than that."""
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
    """Keeps track of the connections that it has opened."""

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
                    # not TLS's, which would change the data that is read
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _beginning(response: requests.Response, until: float) -> bytes:
    found = b""
    while len(found) < ANSWER_LIMIT and time.monotonic() < until and (more := response.raw.read1(ANSWER_LIMIT)):
        found += more
    return found
