"""The threads for routes that are plain functions: requests that find none free, and those that have one."""

import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import anyio
import httpx2
import pytest
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from support.chassis import eventually
from support.server import serving

from oms_chassis.http import app, threads
from oms_chassis.telemetry.metrics import Metrics

router = APIRouter()
begun, may_end = threading.Event(), threading.Event()


@router.get("/wait")
def wait() -> str:
    begun.set()
    may_end.wait(20)
    return "waited"


@router.get("/plain")
def plain() -> str:
    return "plain"


@router.get("/coroutine")
async def coroutine() -> str:
    return "coroutine"


@router.get("/stream")
def stream() -> StreamingResponse:
    async def given() -> AsyncIterator[bytes]:
        yield b"begun"
        await anyio.sleep_forever()

    return StreamingResponse(given())


@pytest.fixture
def client(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx2.Client]:
    """A client of an application with a single thread."""
    monkeypatch.setattr(threads, "THREADS", 1)
    monkeypatch.setattr(threads, "WAIT", 0.2)
    begun.clear()
    may_end.clear()
    with (
        serving(app.create("test", [router], [], metrics)) as address,
        httpx2.Client(base_url=address, timeout=20) as client,
    ):
        yield client


def test_a_request_that_finds_no_thread_in_time_is_asked_to_retry(client: httpx2.Client) -> None:
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.get, "/wait")
        assert begun.wait(20)
        refused = client.get("/plain")
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/unavailable")
        assert refused.headers["retry-after"] == "1"
        assert client.get("/coroutine").json() == "coroutine"
        assert client.get("/nothing").status_code == 404
        may_end.set()
        assert first.result(20).json() == "waited"
    assert client.get("/plain").json() == "plain"


def test_a_request_gets_a_thread_that_becomes_free_in_time(
    client: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "WAIT", 20.0)
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(client.get, "/wait")
        assert begun.wait(20)
        others = [pool.submit(client.get, "/plain") for _ in range(4)]
        may_end.set()
        assert [one.result(20).json() for one in (first, *others)] == ["waited"] + ["plain"] * 4


def test_an_answer_that_is_still_being_sent_holds_no_thread(client: httpx2.Client) -> None:
    with client.stream("GET", "/stream") as answer:
        assert next(answer.iter_bytes()) == b"begun"
        assert client.get("/plain").json() == "plain"


def test_a_client_that_goes_away_leaves_its_thread_to_others(client: httpx2.Client) -> None:
    with pytest.raises(httpx2.ReadTimeout):
        client.get("/wait", timeout=0.1)
    may_end.set()
    assert eventually(lambda: client.get("/plain").status_code == 200)
