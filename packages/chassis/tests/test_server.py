"""The HTTP server: connections, protocols, and its last moments."""

import asyncio
import re
import socket
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx2
import pytest
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from oms_chassis.http import server
from oms_chassis.http.deadlines import departure
from oms_chassis.http.requestlines import RequestLine
from oms_chassis.http.server import Server
from oms_servers.ports import free_port


async def hello(_: Request) -> Response:
    return PlainTextResponse("hello")


async def body(request: Request) -> Response:
    return PlainTextResponse(await request.body(), headers={"X-Upgrade": request.headers.get("upgrade", "none")})


PIECES = [b"x" * 300_000, b"y", b"z" * 70_000]


async def pieces(_: Request) -> Response:
    async def given() -> AsyncIterator[bytes]:
        for piece in PIECES:
            yield piece

    return StreamingResponse(given())


async def late(request: Request) -> Response:
    await departure(request)
    return PlainTextResponse("hello")


async def stream(_: Request) -> Response:
    async def given() -> AsyncIterator[bytes]:
        yield b"hello"
        await asyncio.Event().wait()

    return StreamingResponse(given())


async def answers(port: int, sent: bytes, count: int, piece: int) -> bytes:
    """Send these bytes in pieces of this length, and return so many answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for start in range(0, len(sent), piece):
        writer.write(sent[start : start + piece])
        await writer.drain()
        await asyncio.sleep(0)
    received = b""
    async with asyncio.timeout(20):
        while received.count(b"HTTP/1.1 ") < count or not received.endswith(b"the body"):
            read = await reader.read(65536)
            if not read:
                break
            received += read
    writer.close()
    return received


@asynccontextmanager
async def running(keep_alive: int = 60) -> AsyncIterator[tuple[int, Server]]:
    """Run a server during a block, with its port."""
    routes = [
        Route("/", hello),
        Route("/body", body, methods=["POST"]),
        Route("/pieces", pieces),
        Route("/late", late),
        Route("/stream", stream),
    ]
    port = free_port()
    made = server.make(Starlette(routes=routes), "127.0.0.1", port, drain=5.0, keep_alive=keep_alive)
    serving = asyncio.create_task(made.serve())
    async with asyncio.timeout(20):
        while not made.started:  # noqa: ASYNC110 - uvicorn notifies nobody
            await asyncio.sleep(0.01)
    try:
        yield port, made
    finally:
        made.should_exit = True
        await serving


def test_the_last_answer_announces_that_its_connection_closes() -> None:
    async def scene() -> None:
        async with running() as (port, made), httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert "connection" not in (await client.get("/")).headers
            closing = asyncio.create_task(made.send_connection_close())
            await asyncio.sleep(0)
            last = await client.get("/")
            assert (last.status_code, last.headers["connection"]) == (200, "close")
            await closing
            assert not made.server_state.connections

    asyncio.run(scene())


def test_the_end_does_not_wait_long_for_a_silent_connection() -> None:
    async def scene() -> None:
        async with asyncio.timeout(20), running() as (port, made):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            while not made.server_state.connections:  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.01)
            await made.send_connection_close()
        writer.close()

    asyncio.run(scene())


OFFER = (
    b"POST /body HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
)
MEASURED = OFFER + b"Content-Length: 8\r\n\r\nthe body"
CHUNKED = OFFER + b"Transfer-Encoding: chunked\r\n\r\n4\r\nthe \r\n4\r\nbody\r\n0\r\n\r\n"


@pytest.mark.parametrize("piece", [1, 7, 10_000])
@pytest.mark.parametrize("sent", [[MEASURED], [CHUNKED], [MEASURED, CHUNKED] * 3])
def test_a_request_that_offers_another_protocol_keeps_its_body(sent: list[bytes], piece: int) -> None:
    async def scene() -> None:
        async with running() as (port, _):
            received = await answers(port, b"".join(sent), len(sent), piece)
            assert received.count(b"HTTP/1.1 200 OK") == len(sent)
            assert received.count(b"the body") == len(sent)
            assert received.count(b"x-upgrade: none") == len(sent)

    asyncio.run(scene())


@pytest.mark.parametrize("sent", [b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\nthe body", b"no HTTP\r\n\r\n"])
def test_requests_for_a_tunnel_and_input_other_than_http_are_refused(sent: bytes) -> None:
    async def scene() -> None:
        async with running() as (port, _):
            assert (await answers(port, sent, 1, 10_000)).startswith(b"HTTP/1.1 400 ")

    asyncio.run(scene())


NAMED = (
    b"\r\nPOST /body HTTP/1.1\r\nHost: a\r\nX-Price: PRICE/1 RTSP/1.0\r\n"
    b"X: POST /body RTSP/1.0\r\nContent-Length: 31\r\n\r\nPOST /body RTSP/1.0\r\n\r\nthe body"
)
SPOKEN = b"POST /body RTSP/1.0\r\nHost: a\r\nContent-Length: 8\r\n\r\nthe body"


@pytest.mark.parametrize("piece", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        ([NAMED], [[b"200"]]),
        ([NAMED.replace(b"X:", b"Connection: Upgrade\r\nUpgrade: RTSP/1.0\r\nX:")], [[b"200"]]),
        ([SPOKEN], [[b"400"]]),
        ([MEASURED, SPOKEN, MEASURED], [[b"200"], [b"200", b"400"]]),
    ],
    ids=["named", "offered", "spoken", "spoken in between"],
)
def test_another_protocol_is_refused_unless_it_is_only_mentioned(
    sent: list[bytes], statuses: list[list[bytes]], piece: int
) -> None:
    async def scene() -> None:
        async with running(keep_alive=1) as (port, _):
            assert re.findall(rb"HTTP/1\.1 (\d+) ", await answers(port, b"".join(sent), 3, piece)) in statuses

    asyncio.run(scene())


def test_nothing_is_kept_of_lines_that_mention_another_protocol() -> None:
    tracemalloc.start()
    try:
        for number in range(20):
            address = b"/%d/%bRTSP/" % (number, b"a" * 30_000)
            line = RequestLine()
            line.read(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % address, is_new=True)
            assert not line.is_of_another_protocol(b"GET", address)
        assert tracemalloc.get_traced_memory()[0] < 500_000
    finally:
        tracemalloc.stop()


ASKED = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("said", [[], [b"\r\n"], [ASKED], [ASKED, b"\r\n"], [b"\n", ASKED, b"\r\n"]])
def test_a_connection_without_a_further_request_is_not_kept_for_good(said: list[bytes]) -> None:
    async def scene() -> None:
        async with running(keep_alive=1) as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            async with asyncio.timeout(20):
                for piece in said:
                    writer.write(piece)
                    if piece == ASKED:
                        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 ")
                assert await reader.read() == b""
            writer.close()

    asyncio.run(scene())


POSTED = b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nthe body"
LATE = b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n"
STREAM = b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"
LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])


def all_of(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(65536), b""))


@LOOPS
@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        ([ASKED], [b"200"]),
        ([LATE], [b"200"]),
        ([POSTED, LATE], [b"200"] * 2),
        ([LATE, b"GET / HT"], [b"200"]),
        ([LATE[:-2]], []),
        ([POSTED[:-1]], []),
    ],
)
def test_a_client_that_sends_nothing_after_its_request_is_answered(
    sent: list[bytes], statuses: list[bytes], loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    def answers(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), 20) as client:
            client.sendall(b"".join(sent))
            client.shutdown(socket.SHUT_WR)
            return all_of(client)

    async def scene() -> None:
        async with running() as (port, _):
            assert re.findall(rb"HTTP/1\.1 (\d+) ", await asyncio.to_thread(answers, port)) == statuses

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scene())


@LOOPS
def test_a_stream_ends_when_its_client_closes_its_sending_side(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """It probably reads no more, and there may be nothing to send by which that would show."""

    def follow(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), 20) as client:
            client.sendall(STREAM)
            begun = client.recv(65536)
            client.shutdown(socket.SHUT_WR)
            return begun + all_of(client)

    async def scene() -> None:
        async with running() as (port, _):
            assert (await asyncio.to_thread(follow, port)).startswith(b"HTTP/1.1 200 ")

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scene())


@LOOPS
def test_an_answer_that_is_not_read_does_not_hold_a_connection(
    monkeypatch: pytest.MonkeyPatch, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    monkeypatch.setattr(server, "UNREAD", 0.5)

    async def scene() -> None:
        async with running() as (port, made):
            with socket.create_connection(("127.0.0.1", port), 20) as client:
                client.sendall(b"GET /pieces HTTP/1.1\r\nHost: a\r\n\r\n" * 100)  # more than the kernel keeps for it
                async with asyncio.timeout(20):
                    while not made.server_state.connections:  # noqa: ASYNC110 - the same
                        await asyncio.sleep(0.01)
                    while made.server_state.connections or made.server_state.tasks:  # noqa: ASYNC110 - the same
                        await asyncio.sleep(0.01)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scene())


def test_a_short_answer_is_sent_in_one_packet() -> None:
    """Two would wake the client twice."""

    def ask(port: int) -> list[bytes]:
        came = []
        with socket.create_connection(("127.0.0.1", port), 20) as client:
            for _ in range(20):
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                came.append(client.recv(65536))
        return came

    async def scene() -> None:
        async with running() as (port, _):
            for came in await asyncio.to_thread(ask, port):
                assert came.endswith(b"\r\n\r\nhello")

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("line", "body"),
    [(b"GET /pieces", b"".join(PIECES)), (b"POST /body", b"hello")],
    ids=["without a length", "with its length"],
)
def test_an_answer_in_http_1_0_has_no_chunks_and_ends_with_its_connection(line: bytes, body: bytes) -> None:
    """It has no chunks, and clients do not wait for `100 Continue`."""

    def ask(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), 20) as client:
            client.sendall(line + b" HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
            return all_of(client)

    async def scene() -> None:
        async with running() as (port, _):
            head, _, came = (await asyncio.to_thread(ask, port)).partition(b"\r\n\r\n")
            assert (head.startswith(b"HTTP/1.1 200 "), b"transfer-encoding" in head, came) == (True, False, body)

    asyncio.run(scene())


@pytest.mark.parametrize("headers", [{}, {"Connection": "close"}])
def test_a_long_answer_arrives_complete(headers: dict[str, str]) -> None:
    async def scene() -> None:
        async with (
            running() as (port, _),
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client,
        ):
            assert (await client.get("/pieces", headers=headers)).content == b"".join(PIECES)
            assert (await client.get("/")).text == "hello"

    asyncio.run(scene())
