"""The load generator: HTTP/1.1 over plain asyncio streams, because a generator on the same two cores must be cheap.

In the open model, latency is measured from the time when a request was due, not from when it was sent: a server that
stalls must not hide this by slowing the generator down ("coordinated omission", Gil Tene).
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from oms_cli import sample

Post = Callable[[bytes], Awaitable[int]]
BODY = json.dumps(sample.order(quantity=1)).encode()


@dataclass
class Outcome:
    """The outcome of a load. Latencies are in seconds, of accepted orders only."""

    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    def percentile(self, percent: float) -> float:
        """Return the latency in seconds that `percent` of the requests did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else float("nan")


class Connection:
    """A persistent connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        head = f"POST /order HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        self._head = f"{head}Content-Length: ".encode()

    async def post(self, body: bytes) -> int:
        """Post a body, and return the status of the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(self._head + str(len(body)).encode() + b"\r\n\r\n" + body)
        head = await reader.readuntil(b"\r\n\r\n")
        lowered = head.lower()
        start = lowered.index(b"content-length:") + len(b"content-length:")
        await reader.readexactly(int(lowered[start : lowered.index(b"\r\n", start)]))
        return int(head[9:12])

    def close(self) -> None:
        """Close it."""
        if self._streams is not None:
            self._streams[1].close()


async def _send(connection: Connection, outcome: Outcome, due: float) -> None:
    if await connection.post(BODY) == 202:
        outcome.accepted += 1
        outcome.latencies.append(time.perf_counter() - due)
    else:
        outcome.refused += 1


async def flood(port: int, orders: int, connections: int) -> Outcome:
    """Post orders as fast as the connections permit (closed model); refused ones are not repeated."""
    outcome, started, left = Outcome(), time.perf_counter(), iter(range(orders))

    async def carry() -> None:
        connection = Connection(port)
        for _ in left:
            await _send(connection, outcome, time.perf_counter())
        connection.close()

    await asyncio.gather(*(carry() for _ in range(connections)))
    outcome.seconds = time.perf_counter() - started
    return outcome


async def steady(port: int, rate: float, seconds: float) -> Outcome:
    """Post at a fixed rate (open model): each order is due at a fixed time, whatever became of the earlier ones."""
    outcome, idle, tasks = Outcome(), [Connection(port) for _ in range(4)], []
    started = time.perf_counter()

    async def one(due: float) -> None:
        connection = idle.pop() if idle else Connection(port)
        await _send(connection, outcome, due)
        idle.append(connection)

    for number in range(int(rate * seconds)):
        due = started + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(due)))
    await asyncio.gather(*tasks)
    outcome.seconds = time.perf_counter() - started
    for connection in idle:
        connection.close()
    return outcome
