"""Direct routes bypass the framework, and callers notice no difference."""

import asyncio
import re
from collections.abc import Iterator
from typing import Annotated, Any

import httpx2
import psycopg
import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.testclient import TestClient
from starlette.types import Message
from support.issuer import local_issuer

from oms_chassis.access import AccessSettings
from oms_chassis.http import app, direct
from oms_chassis.http.dependencies import Provided
from oms_chassis.http.edge import Edge
from oms_chassis.http.identity.authentication import Authentication
from oms_chassis.http.identity.callers import Caller
from oms_chassis.http.identity.issuer import Issuer
from oms_chassis.http.identity.requirements import Needs
from oms_chassis.http.identity.tokens import Tokens
from oms_chassis.http.problems import MalformedJson, Problem, Unavailable, documented
from oms_chassis.telemetry import tracing
from oms_chassis.telemetry.metrics import Metrics

SECRET = "4242424242424242"
router = APIRouter(dependencies=[Depends(Needs())])
Everybody = Annotated[Caller, Depends(Needs("things:write"))]
Number = Annotated[int, Depends(Provided(int))]


class Taken(Problem):
    """The thing exists already."""

    status, kind, title = 409, "taken", "It is taken"


def _lost() -> OperationalError:
    error = psycopg.OperationalError()
    error.leaves_outcome_open = True  # type: ignore[attr-defined] # as sessions mark it
    return OperationalError(None, None, error)


RAISED: dict[str, Exception] = {
    "taken": Taken(detail="By someone else", headers={"Location": "/things/1"}),
    "away": OperationalError("SELECT 1", {}, Exception("away")),
    "lost": _lost(),
    "busy": PoolTimeout(),
    "teapot": HTTPException(418, headers={"X-Pot": "short"}),
    "bug": LookupError(SECRET),
}


async def _answer(request: Request, number: int, caller: Caller) -> Response:
    what = (await request.body()).decode()
    if (error := RAISED.get(what.strip('"'))) is not None:
        raise error
    trace = tracing.trace_id(tracing.current() or "")
    said = {"body": what, "number": number, "caller": caller.subject, "trace": trace}
    return JSONResponse(said, 202, {"Location": "/things/1"})


@router.post("/direct", responses=documented(Taken, Unavailable, MalformedJson))
async def by_itself(request: Request, number: Number, caller: Everybody) -> Response:
    return await _answer(request, number, caller)


@router.post("/framed", responses=documented(Taken, Unavailable, MalformedJson))
async def by_the_framework(
    request: Request, number: Number, caller: Everybody, x_size: Annotated[str, Header()] = ""
) -> Response:
    return await _answer(request, number, caller)


async def _nothing() -> None: ...


others = APIRouter(dependencies=[Depends(Needs())])
others.get("/number")(lambda number: number)
others.get("/things/{number}")(by_itself)
others.get("/threaded")(lambda: Response())
others.get("/modelled")(_nothing)


@others.get("/query")
async def with_a_query(request: Request, size: Annotated[int, Query()] = 1) -> Response:
    return Response(str(size))


@others.get("/dependent", dependencies=[Depends(_nothing)])
async def with_something_before_it(request: Request) -> Response:
    return Response()


wide = APIRouter(dependencies=[Depends(Needs())])


@wide.post("/{name}")
async def any_other(name: str) -> Response:
    return Response(status_code=204)


@pytest.fixture(scope="module")
def asked() -> Iterator[tuple[Edge, dict[str, str]]]:
    """An edge with authentication, and the headers of a caller who may do everything."""
    with local_issuer() as issuer:
        settings = AccessSettings(**issuer.settings, rate_limit="1000/60", cors_origins="https://shop.example.com")
        known = Issuer(settings)
        known.refresh()
        edge = Edge(settings, Authentication(None, known, Tokens(settings, known)))
        yield edge, {"Authorization": "Bearer " + issuer.token("ann", "things:write")}


def made(metrics: Metrics, edge: Edge | None = None) -> FastAPI:
    return app.create("test", [router, others, wide], [7], metrics, body_limit=1000, edge=edge or Edge.open())


def test_only_a_route_that_needs_nothing_of_the_framework_is_direct(metrics: Metrics) -> None:
    assert [path for _, path in direct.found(made(metrics).routes)] == ["/direct"]


def test_of_two_routes_for_one_request_the_first_is_called(metrics: Metrics) -> None:
    application = app.create("test", [wide, router], [7], metrics, edge=Edge.open())
    assert not direct.found(application.routes)
    with TestClient(application) as client:
        assert client.post("/direct", json="a").status_code == 204


REQUESTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "accepted": ("POST", "", {"json": "a"}),
    "traced": ("POST", "", {"json": "a", "headers": {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}}),
    "from-a-page": ("POST", "", {"json": "a", "headers": {"Origin": "https://shop.example.com"}}),
    "asked-by-a-page": (
        "OPTIONS",
        "",
        {"headers": {"Origin": "https://shop.example.com", "Access-Control-Request-Method": "POST"}},
    ),
    **{name: ("POST", "", {"json": name}) for name in RAISED},
    "too-large": ("POST", "", {"content": b"x" * 1001}),
    "broken": ("POST", "", {"content": b"{", "headers": {"Content-Type": "application/json"}}),
    "text": ("POST", "", {"content": b"a", "headers": {"Content-Type": "text/plain"}}),
    "repeated": ("POST", "", {"content": b'{"a": 1, "a": 2}', "headers": {"Content-Type": "application/json"}}),
    "zipped": ("POST", "", {"json": "a", "headers": {"Content-Encoding": "gzip"}}),
    "with-a-query": ("POST", "?size=1", {"json": "a"}),
    "with-a-slash": ("POST", "/", {"json": "a"}),
    "with-a-line": ("POST", "%0A", {"json": "a"}),
    "read": ("GET", "", {}),
    "head": ("HEAD", "", {}),
    "deleted": ("DELETE", "", {}),
    "options": ("OPTIONS", "", {}),
}
OPAQUE = {"trace", "date", "content-length"}


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("who", ["anybody", "caller", "stranger"])
def test_callers_notice_no_difference(
    who: str, name: str, asked: tuple[Edge, dict[str, str]], metrics: Metrics
) -> None:
    edge, credentials = asked
    method, rest, more = REQUESTS[name]
    more = {**more, "headers": {**more.get("headers", {}), **(credentials if who == "caller" else {})}}
    application = made(metrics, None if who == "anybody" else edge)
    with TestClient(application, raise_server_exceptions=False) as client:
        framed, called = [_seen(client.request(method, f"{path}{rest}", **more)) for path in ("/framed", "/direct")]
    assert called == framed
    assert SECRET not in called[2]
    counted = [(one.labels["route"], one.labels["status"], one.value) for one in _counts(metrics)]
    by_route = {route: (status, value) for route, status, value in counted}
    assert len(by_route) == 1 or by_route["/direct"] == by_route["/framed"]


def _seen(answer: httpx2.Response) -> tuple[int, dict[str, str], str]:
    """Return an answer without the parts that always differ: the rest of a rate limit, and a new trace."""
    headers = {name: "" if name == "ratelimit" else value for name, value in answer.headers.items()}
    fresh = answer.request.headers.get("traceparent") is None
    return answer.status_code, headers, re.sub("[0-9a-f]{32}", "", answer.text) if fresh else answer.text


def _counts(metrics: Metrics) -> list[Any]:
    return [
        sample
        for metric in metrics.http_requests.collect()
        for sample in metric.samples
        if sample.name.endswith("_count")
    ]


def test_the_document_describes_direct_routes_too(metrics: Metrics) -> None:
    direct, framed = (made(metrics).openapi()["paths"][path]["post"]["responses"] for path in ("/direct", "/framed"))
    assert direct == framed


def test_a_client_that_disconnected_is_not_the_routes_fault(metrics: Metrics) -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    scope = {
        "type": "http", "method": "POST", "path": "/direct", "root_path": "", "query_string": b"",
        "http_version": "1.1", "headers": [(b"host", b"a"), (b"content-type", b"application/json")],
    }  # fmt: skip
    asyncio.run(made(metrics)(scope, receive, send))
    assert [(one.labels["route"], one.labels["status"]) for one in _counts(metrics)] == [("/direct", "499")]
