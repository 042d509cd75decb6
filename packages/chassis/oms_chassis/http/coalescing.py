"""Combines consecutive writes to a connection into one.

uvicorn writes the head and the body of an answer separately, and uvloop makes the kernel send the first write at once:
that is two packets, and a client that is woken twice. On a busy machine that costs more than much of the work for the
answer.
"""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LIMIT = 64 * 1024  # bytes that are held back at most: more is left to the transport's flow control


class CoalescingTransport:
    """An asyncio transport that sends all writes of one turn of its loop together, at the end of that turn."""

    def __init__(self, transport: asyncio.BaseTransport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport: Any = transport  # uvloop's, which is not a subclass of asyncio's
        self._loop = loop
        self._unsent = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send data at the end of this turn of the loop."""
        if not self._unsent:
            self._loop.call_soon(self.flush)
        self._unsent += data
        if len(self._unsent) >= LIMIT:
            self.flush()

    def flush(self) -> None:
        """Send everything that was written, now."""
        data, self._unsent = self._unsent, bytearray()
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def write_eof(self) -> None:
        """Close the sending side after everything that was written."""
        self.flush()
        self._transport.write_eof()

    def close(self) -> None:
        """Close the connection after everything that was written."""
        self.flush()
        self._transport.close()


class CoalescingHttp(HttpToolsProtocol):
    """uvicorn's protocol, sending a short answer in one write."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Wrap the transport of a new connection."""
        self._writes = CoalescingTransport(transport, self.loop)
        super().connection_made(cast("asyncio.Transport", self._writes))

    def on_response_complete(self) -> None:
        """Send a complete answer without waiting for others in this turn of the loop."""
        self._writes.flush()
        super().on_response_complete()
