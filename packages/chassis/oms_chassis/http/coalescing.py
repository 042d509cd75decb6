"""Writes that are made right after one another go out as one.

uvicorn writes an answer's head and its body each by itself, and uvloop has the kernel send the first one at once: two
packets, and a client that is woken twice. On a busy machine that costs more than much of what an answer is made by.
"""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LIMIT = 64 * 1024  # bytes that are kept back at most: what is more is for the transport's flow control


class CoalescingTransport:
    """A transport of asyncio's that sends what is written in one turn of its loop together, at the end of that turn."""

    def __init__(self, transport: asyncio.BaseTransport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport: Any = transport  # uvloop's, which is no subclass of asyncio's
        self._loop = loop
        self._unsent = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send this, soon."""
        if not self._unsent:
            self._loop.call_soon(self.flush)
        self._unsent += data
        if len(self._unsent) >= LIMIT:
            self.flush()

    def flush(self) -> None:
        """Send now what was written."""
        data, self._unsent = self._unsent, bytearray()
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def write_eof(self) -> None:
        """Say that nothing follows what was written."""
        self.flush()
        self._transport.write_eof()

    def close(self) -> None:
        """Close the connection once all that was written is sent."""
        self.flush()
        self._transport.close()


class CoalescingHttp(HttpToolsProtocol):
    """uvicorn's protocol, which sends a short answer by one write."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """A client has connected."""
        self._writes = CoalescingTransport(transport, self.loop)
        super().connection_made(cast("asyncio.Transport", self._writes))

    def on_response_complete(self) -> None:
        """An answer is whole, and need not wait for the others of this turn of the loop."""
        self._writes.flush()
        super().on_response_complete()
