"""A bad network on demand: a TCP proxy in front of a server, for tests of vanished peers and lost answers."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from support.loops import LoopThread

CHUNK = 65536


@dataclass(eq=False)
class _Link:
    """One connection through the proxy. An open gate lets bytes through; a muted link drops what the server sends."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    gate: asyncio.Event
    muted: bool = False

    def reset(self) -> None:
        """End both sides at once, like a peer that has lost its state."""
        for writer in (self.client, self.server):
            _reset(writer)

    def half_open(self) -> None:
        """End the server's side without notifying the client."""
        self.gate.clear()
        _reset(self.server)


def _reset(writer: asyncio.StreamWriter) -> None:
    raw: socket.socket = writer.get_extra_info("socket")
    with contextlib.suppress(OSError, ValueError):  # it was closed meanwhile, and its loop has not noticed yet
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Proxy:
    """Forwards connections to a server, in a loop that it may share. Its methods may be called from any thread, and
    take effect at once."""

    def __init__(self, loop: LoopThread, host: str, port: int, listen: int = 0) -> None:
        self._loop = loop
        self._target = (host, port)
        self._delay = 0.0
        self._rate = 0.0
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusing = self._swallowing = False
        self.port = listen

    def start(self) -> None:
        """Listen: on a free port unless one was given."""
        self._loop.call(self._listen())

    def stop(self) -> None:
        """Cut every connection and stop listening."""
        self._loop.call(self._close())

    def listens_on(self) -> int:
        """Return the proxy's port."""
        return self.port

    def url(self, url: str) -> str:
        """Return the same URL, but through this proxy."""
        parts = urlsplit(url)
        return parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{self.port}").geturl()

    def cut(self) -> None:
        """Reset every open connection; new ones work."""
        self._loop.call(self._each(_Link.reset))

    def blackhole(self, new: bool = False) -> None:
        """Forward nothing more on the open connections, but keep them open. New ones work, except with `new`.

        If a client closes such a connection, it ends at the server too: a server would notice by its keepalives.
        """
        self._swallowing = new
        self._loop.call(self._each(lambda link: link.gate.clear()))

    def mute(self) -> None:
        """Drop what the server sends on the open connections; what the client sends arrives."""
        self._loop.call(self._each(lambda link: setattr(link, "muted", True)))

    def half_open(self) -> None:
        """End the open connections at the server only, as if the server restarted behind a firewall that drops its
        reset: the client is left with connections that nobody answers. New ones work."""
        self._loop.call(self._each(_Link.half_open))

    def refuse(self, refusing: bool = True) -> None:
        """Close new connections at once, or no longer."""
        self._refusing = refusing

    def delay(self, seconds: float) -> None:
        """Delay everything that either side sends by this long."""
        self._delay = seconds

    def throttle(self, bytes_per_second: float) -> None:
        """Limit the rate of each connection in each direction; 0 means no limit."""
        self._rate = bytes_per_second

    def redirect(self, port: int) -> None:
        """Forward new connections to another server on this machine, and cut the open ones."""
        self._target = ("127.0.0.1", port)
        self.cut()

    def heal(self) -> None:
        """Let new connections work, at full speed. Those that a blackhole has swallowed stay dead: a peer that lost its
        state does not come back."""
        self._refusing = self._swallowing = False
        self._delay = self._rate = 0.0

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
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
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._target)
        except OSError:  # the server does not listen
            writer.transport.abort()
            return
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
            if link.gate.is_set():  # bytes that went into a blackhole are lost
                await self._pass(data, link.server)

    async def _downwards(self, reader: asyncio.StreamReader, link: _Link) -> None:
        async for data in _chunks(reader):
            await link.gate.wait()
            if not link.muted:
                await self._pass(data, link.client)
        await link.gate.wait()

    async def _pass(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self._delay + (len(data) / self._rate if self._rate else 0.0))
        with contextlib.suppress(ConnectionError):
            writer.write(data)
            await writer.drain()


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            yield data


async def _first(*ways: Coroutine[Any, Any, None]) -> None:
    """Return once one direction has ended or failed."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def proxy(url: str) -> Iterator[Proxy]:
    """Run a proxy in front of the server of a URL."""
    loop = LoopThread("proxy")
    one = proxy_of(url, loop)
    loop.start()
    try:
        one.start()
        yield one
        one.stop()
    finally:
        loop.stop()


def proxy_of(url: str, loop: LoopThread) -> Proxy:
    """Return a proxy that is not started yet, for a loop that runs by then."""
    parts = urlsplit(url)
    return Proxy(loop, parts.hostname or "127.0.0.1", parts.port or 5432)
