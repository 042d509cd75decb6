"""The load generator measures what a client would experience, against a real server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from benchmarks.load import BODY, Outcome, flood, steady

Answer = Callable[[int], Awaitable[bytes]]


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[int]:
    """Run a server that answers the nth request as `answer` says, and yield its port."""
    count = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        while True:
            try:
                await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            await reader.readexactly(len(BODY))
            count += 1
            writer.write(await answer(count))
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield listening.sockets[0].getsockname()[1]
    listening.close()


def response(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n{{}}".encode()


async def accept(_: int) -> bytes:
    return response("202 Accepted")


def run(load: Callable[[int], Awaitable[Outcome]], answer: Answer) -> Outcome:
    async def loaded() -> Outcome:
        async with server(answer) as port:
            return await load(port)

    return asyncio.run(loaded())


def test_a_flood_posts_each_order_once() -> None:
    outcome = run(lambda port: flood(port, 100, 8), accept)
    assert (outcome.accepted, outcome.refused, len(outcome.latencies)) == (100, 0, 100)


def test_refused_orders_are_counted_separately() -> None:
    async def refuse_every_second(number: int) -> bytes:
        return response("202 Accepted" if number % 2 else "503 Service Unavailable")

    outcome = run(lambda port: flood(port, 10, 1), refuse_every_second)
    assert (outcome.accepted, outcome.refused) == (5, 5)


def test_a_stall_counts_for_all_requests_that_were_due_during_it() -> None:
    async def stall(number: int) -> bytes:
        if number == 1:
            await asyncio.sleep(0.5)
        return response("202 Accepted")

    lone = run(lambda port: steady(port, 20.0, 0.5), stall)
    assert lone.accepted == 10
    assert lone.percentile(100) >= 0.5


def test_percentiles_are_those_of_the_sorted_latencies() -> None:
    outcome = Outcome(latencies=[0.4, 0.1, 0.3, 0.2])
    assert [outcome.percentile(percent) for percent in (0, 50, 100)] == [0.1, 0.3, 0.4]
