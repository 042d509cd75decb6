"""A server's last moments."""

import asyncio

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from oms_chassis import server
from oms_chassis.server import Server
from oms_servers.ports import free_port


async def hello(_: Request) -> Response:
    return PlainTextResponse("hello")


async def started(port: int) -> tuple[Server, asyncio.Task[None]]:
    made = server.make(Starlette(routes=[Route("/", hello)]), "127.0.0.1", port, drain=5.0, keep_alive=60)
    serving = asyncio.create_task(made.serve())
    async with asyncio.timeout(20):
        while not made.started:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.01)
    return made, serving


def test_the_last_answer_on_a_connection_says_so() -> None:
    async def scene() -> None:
        port = free_port()
        made, serving = await started(port)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert "connection" not in (await client.get("/")).headers
            farewell = asyncio.create_task(made.bid_farewell())
            await asyncio.sleep(0)
            last = await client.get("/")
            assert (last.status_code, last.headers["connection"]) == (200, "close")
            await farewell
            assert not made.server_state.connections
        made.should_exit = True
        await serving

    asyncio.run(scene())


def test_a_connection_that_says_nothing_is_not_waited_for_long() -> None:
    async def scene() -> None:
        port = free_port()
        made, serving = await started(port)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(20):
            while not made.server_state.connections:  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.01)
            await made.bid_farewell()
            made.should_exit = True
            await serving
        writer.close()

    asyncio.run(scene())
