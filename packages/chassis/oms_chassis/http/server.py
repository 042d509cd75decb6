"""An HTTP server for a process that has other work as well."""

import asyncio
import errno
import logging
import socket
import time
from contextlib import AbstractContextManager, nullcontext

import uvicorn
from starlette.types import ASGIApp

from oms_chassis.http.http1 import Http1
from oms_chassis.telemetry.logs import logger

log = logger(__name__)

CLOSE = (b"connection", b"close")
UNREAD = 60.0  # seconds for which a client may leave unread what is sent to it; on Linux
CLOSE_GRACE = 1.0  # seconds in which each answer closes its connection


class Server(uvicorn.Server):
    """A server without signal handlers, because two of them share one loop."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override] # uvicorn's is a generator
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. If that fails, uvicorn logs an error whose text is suppressed here, and exits."""
        logging.getLogger("uvicorn.error").addFilter(_says_more_than_an_error)
        try:
            await super().startup(sockets)
        except SystemExit as end:
            config = self.config
            log.error("cannot_listen", host=config.host, port=config.port, error=_reason(end.__context__))
            raise
        for listening in (one for server in self.servers for one in server.sockets):
            _give_up_who_does_not_read(listening)

    def begin(self) -> asyncio.Task[None]:
        """Serve in a task of its own. An error that ends it was logged and ends the loop, so asyncio need not report it
        again."""
        serving = asyncio.create_task(self.serve())
        serving.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return serving

    async def send_connection_close(self) -> None:
        """Keep serving for a moment, and announce with each answer that its connection closes.

        Otherwise, a proxy with persistent connections could send a request in the very moment when one is closed, and
        that request would be lost.
        """
        self.config.encoded_headers.append(CLOSE)
        self.server_state.default_headers = [*self.server_state.default_headers, CLOSE]
        deadline = time.monotonic() + CLOSE_GRACE
        while self.server_state.connections and time.monotonic() < deadline:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.02)


def _give_up_who_does_not_read(listening: socket.socket) -> None:
    """Make the kernel end connections whose clients read nothing for a while, because they have vanished or do not
    read: otherwise the unsent data, and the task that sends it, would be kept for good. This does not affect slow
    readers, because the kernel's buffer is larger than an answer. Connections inherit the option from the listening
    socket."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(UNREAD * 1000))


def _says_more_than_an_error(record: logging.LogRecord) -> bool:
    return not isinstance(record.msg, OSError)


def _reason(error: BaseException | None) -> str:
    number = error.errno if isinstance(error, OSError) else None
    return errno.errorcode.get(number or 0, type(error).__name__)


def make(asgi: ASGIApp, host: str, port: int, drain: float, keep_alive: int) -> Server:
    """Return a server that is not running yet.

    At the end, open requests have `drain` seconds; a connection may be idle for `keep_alive` seconds.
    """
    config = uvicorn.Config(
        asgi,
        host=host,
        port=port,
        http=Http1,
        ws="none",
        lifespan="off",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        log_config=None,
        timeout_graceful_shutdown=int(drain),
        timeout_keep_alive=keep_alive,
        # otherwise a request that waited for another one's answer would begin in its context: with its caller
        reset_contextvars=True,
    )
    return Server(config)
