"""A bad network on demand: a TCP proxy in front of a server, for tests of what vanished peers and lost answers do."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

CHUNK = 65536


@dataclass(eq=False)
class _Link:
    """One connection through the proxy. An open gate lets bytes through; a muted link loses what the server says."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    gate: asyncio.Event
    muted: bool = False

    def reset(self) -> None:
        """End both sides at once, as a peer does that has lost its state."""
        for writer in (self.client, self.server):
            raw: socket.socket = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


class Proxy:
    """Forwards connections to a server. Its methods may be called from any thread, and work at once."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._refusing = self._swallowing = False
        self.port = 0

    def start(self) -> None:
        """Listen on a free port."""
        self._thread.start()
        self._call(self._listen())

    def stop(self) -> None:
        """Cut every connection and listen no more."""
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def url(self, url: str) -> str:
        """The same URL, through this proxy."""
        parts = urlsplit(url)
        return parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{self.port}").geturl()

    def cut(self) -> None:
        """Reset every open connection; new ones work."""
        self._call(self._each(_Link.reset))

    def blackhole(self, new: bool = False) -> None:
        """Forward nothing more on the connections that are open now, and keep them open; new ones work, or fare alike.

        A client that closes such a connection ends it at the server too: a server would notice by its keepalives.
        """
        self._swallowing = new
        self._call(self._each(lambda link: link.gate.clear()))

    def mute(self) -> None:
        """Lose what the server says on the connections that are open now; what the client says arrives."""
        self._call(self._each(lambda link: setattr(link, "muted", True)))

    def refuse(self, refusing: bool = True) -> None:
        """Whether to close new connections at once."""
        self._refusing = refusing

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        await self._each(_Link.reset)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    async def _each(self, act: Any) -> None:
        for link in list(self._links):
            act(link)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._refusing:
            writer.transport.abort()
            return
        server_reader, server_writer = await asyncio.open_connection(*self._target)
        link = _Link(writer, server_writer, asyncio.Event())
        if not self._swallowing:
            link.gate.set()
        self._links.add(link)
        try:
            await _first(self._upwards(reader, link), self._downwards(server_reader, link))
        finally:
            self._links.discard(link)
            for one in (link.client, link.server):
                one.transport.abort()

    async def _upwards(self, reader: asyncio.StreamReader, link: _Link) -> None:
        async for data in _chunks(reader):
            if link.gate.is_set():  # what a blackhole was given is lost
                link.server.write(data)
                await link.server.drain()

    async def _downwards(self, reader: asyncio.StreamReader, link: _Link) -> None:
        async for data in _chunks(reader):
            await link.gate.wait()
            if not link.muted:
                link.client.write(data)
                await link.client.drain()
        await link.gate.wait()


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            yield data


async def _first(*ways: Coroutine[Any, Any, None]) -> None:
    """Until one way has ended, or failed."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def proxy(url: str) -> Iterator[Proxy]:
    """A proxy in front of the server of a URL."""
    parts = urlsplit(url)
    one = Proxy(parts.hostname or "127.0.0.1", parts.port or 5432)
    one.start()
    try:
        yield one
    finally:
        one.stop()
