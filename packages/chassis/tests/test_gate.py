"""The gate of public routes: authentication, rate limits, and headers for browsers."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlsplit

import pytest
import structlog
from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel
from starlette.testclient import TestClient
from support.chassis import eventually
from support.issuer import LocalIssuer, local_issuer
from support.server import serving

from oms_chassis.access import AccessSettings
from oms_chassis.http import app
from oms_chassis.http.edge import Edge
from oms_chassis.http.identity.authentication import Authentication
from oms_chassis.http.identity.callers import Caller
from oms_chassis.http.identity.gate import REFUSALS
from oms_chassis.http.identity.issuer import Issuer
from oms_chassis.http.identity.requirements import Needs
from oms_chassis.http.identity.tokens import Tokens
from oms_chassis.telemetry.metrics import Metrics

SHOP = "https://shop.example.com"
router = APIRouter()
logged: list[Any] = []


class Body(BaseModel):
    text: str


@router.post("/things")
def change(body: Body, caller: Annotated[Caller, Depends(Needs("things:write"))]) -> dict[str, str | None]:
    logged.append(structlog.contextvars.get_contextvars().get("caller"))
    return {"caller": caller.subject}


@router.get("/things", dependencies=[Depends(Needs())])
def look() -> list[str]:
    logged.append(structlog.contextvars.get_contextvars().get("caller"))
    return []


@router.get("/broken", dependencies=[Depends(Needs())])
def broken() -> list[str]:
    raise LookupError


@pytest.fixture(scope="module")
def issuer() -> Iterator[LocalIssuer]:
    with local_issuer() as issuer:
        yield issuer


def guarded(issuer: LocalIssuer, metrics: Metrics, **more: Any) -> FastAPI:
    """An application that requires the issuer's tokens."""
    settings = AccessSettings(**issuer.settings, **more)
    known = Issuer(settings)
    known.refresh()
    edge = Edge(settings, Authentication(None, known, Tokens(settings, known)))
    return app.create("test", [router], [], metrics, edge=edge)


@contextmanager
def asking(issuer: LocalIssuer, metrics: Metrics, **more: Any) -> Iterator[TestClient]:
    """A client of such an application."""
    with TestClient(guarded(issuer, metrics, **more), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client(issuer: LocalIssuer, metrics: Metrics) -> Iterator[TestClient]:
    with asking(issuer, metrics) as client:
        yield client


@contextmanager
def open_to_everybody(metrics: Metrics, **settings: Any) -> Iterator[TestClient]:
    made = app.create("test", [router], [], metrics, edge=Edge(AccessSettings(**settings)))
    with TestClient(made, raise_server_exceptions=False) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_an_application_with_a_route_that_declares_no_scopes_is_not_created(metrics: Metrics) -> None:
    careless = APIRouter()
    careless.get("/forgotten")(lambda: None)
    with pytest.raises(LookupError, match="/forgotten"):
        app.create("test", [router, careless], [], metrics, edge=Edge.open())


def test_a_route_with_scopes_answers_nobody_without_a_gate(metrics: Metrics) -> None:
    made = app.create("test", [router], [], metrics)
    with TestClient(made, raise_server_exceptions=False) as client:
        assert client.post("/things", json={"text": "a"}).status_code == 500


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"text": 1}', b"a" * 70_000])
def test_nothing_of_a_stranger_s_request_is_read(content: bytes, client: TestClient) -> None:
    for query in ("", "?what=ever"):
        refused = client.post(f"/things{query}", content=content, headers={"Content-Type": "application/json"})
        assert (refused.status_code, refused.json()["type"]) == (401, "/problems/credentials-missing")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer a b", "bearer oms_x", "token", "Bearer ä"]
)
def test_invalid_credentials_are_refused_on_an_open_route_too(header: str, client: TestClient) -> None:
    refused = client.get("/things", headers={b"Authorization": header.encode("latin-1")})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'Bearer realm="oms", error="invalid_token"'


def test_two_credentials_are_refused(client: TestClient, issuer: LocalIssuer) -> None:
    token = issuer.token("ann", "things:write")
    both = [("Authorization", f"Bearer {token}")] * 2
    assert client.post("/things", json={"text": "a"}, headers=both).status_code == 401


def test_a_missing_scope_is_named(client: TestClient, issuer: LocalIssuer) -> None:
    refused = client.post("/things", json={"text": "a"}, headers=bearer(issuer.token("ann", "things:read")))
    assert refused.status_code == 403
    assert refused.headers["www-authenticate"].endswith('error="insufficient_scope", scope="things:write"')


def test_refusals_are_counted_by_problem_and_measured_by_route(client: TestClient, metrics: Metrics) -> None:
    client.post("/things", json={"text": "a"})
    value = metrics.registry.get_sample_value
    assert value("oms_http_refusals_total", {"problem": "credentials-missing"}) == 1
    assert all(value("oms_http_refusals_total", {"problem": one.kind}) is not None for one in REFUSALS)
    labels = {"method": "POST", "route": "/things", "status": "401"}
    assert value("oms_http_request_seconds_count", labels) == 1


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("shop-1", "shop-1"),
        ("auth0|5f7c8ec7c33c6c004bbafe82", "auth0|5f7c8ec7c33c6c004bbafe82"),
        ("ann@example.com", "sha256:"),
        ("+94 77 123 4567", "sha256:"),
        ("94771234567", "sha256:"),
        ("Ann Smith", "sha256:"),
    ],
)
def test_log_lines_name_the_caller_and_never_an_address_or_a_number(
    subject: str, shown: str, client: TestClient, issuer: LocalIssuer
) -> None:
    logged.clear()
    assert client.get("/things", headers=bearer(issuer.token(subject))).status_code == 200
    assert client.get("/things").status_code == 200
    assert logged[0] == shown or (shown == "sha256:" and logged[0].startswith(shown) and subject not in logged[0])
    assert logged[1] is None


def test_log_lines_of_a_request_that_was_sent_along_with_another_s_name_its_own_caller(
    issuer: LocalIssuer, metrics: Metrics
) -> None:
    head = "GET /things HTTP/1.1\r\nHost: a\r\n"
    named = f"{head}Authorization: {bearer(issuer.token('shop-1'))['Authorization']}\r\n\r\n"
    logged.clear()
    with serving(guarded(issuer, metrics)) as address:
        place = urlsplit(address)
        with socket.create_connection((place.hostname, place.port), timeout=20) as connection:
            connection.sendall(f"{named}{head}\r\n{named}{head}Connection: close\r\n\r\n".encode())
            assert b"".join(iter(lambda: connection.recv(65536), b"")).count(b"HTTP/1.1 200 ") == 4
    assert logged == ["shop-1", None] * 2


def test_each_caller_has_a_rate_of_its_own(issuer: LocalIssuer, metrics: Metrics) -> None:
    with asking(issuer, metrics, rate_limit="2/3600") as client:
        ann, bob = bearer(issuer.token("ann")), bearer(issuer.token("bob"))
        first, second, third = (client.get("/things", headers=ann) for _ in range(3))
        assert [one.status_code for one in (first, second, third)] == [200, 200, 429]
        assert client.get("/things", headers=bob).status_code == 200
        assert client.get("/things").status_code == 200
    assert first.headers["ratelimit-policy"] == '"caller";q=2;w=3600'
    assert [one.headers["ratelimit"].split(";")[1] for one in (first, second, third)] == ["r=1", "r=0", "r=0"]
    assert 3500 <= int(third.headers["retry-after"]) <= 3600
    assert third.json()["type"] == "/problems/too-many-requests"


def test_a_caller_may_continue_once_its_window_has_ended(issuer: LocalIssuer, metrics: Metrics) -> None:
    with asking(issuer, metrics, rate_limit="1/1") as client:
        ann = bearer(issuer.token("ann"))

        def answers(status: int) -> bool:
            return bool(client.get("/things", headers=ann).status_code == status)

        for status in (200, 429, 200, 429):
            eventually(partial(answers, status))


def test_without_a_limit_answers_do_not_mention_one(client: TestClient) -> None:
    assert not {"ratelimit", "ratelimit-policy"} & set(client.get("/things").headers)


def test_pages_of_another_origin_may_call_if_the_setting_allows_it(issuer: LocalIssuer, metrics: Metrics) -> None:
    preflight = {
        "Origin": SHOP,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, idempotency-key",
    }
    with asking(issuer, metrics, cors_origins=SHOP) as client:
        allowed = client.options("/things", headers=preflight)
        refused = client.post("/things", json={"text": "a"}, headers={"Origin": SHOP})
        other = client.options("/things", headers={**preflight, "Origin": "https://other.example.com"})
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, SHOP)
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, SHOP)
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/broken", {}, 500),
        ("/things", {"Content-Encoding": "gzip", "Content-Length": "1"}, 415),
        ("/things", {"Host": "a b"}, 400),
        ("/nowhere", {}, 404),
    ],
)
def test_a_page_of_another_origin_can_read_any_answer(
    path: str, headers: dict[str, str], status: int, metrics: Metrics
) -> None:
    with open_to_everybody(metrics, cors_origins=SHOP) as client:
        answer = client.get(path, headers={"Origin": SHOP, **headers})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, SHOP)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_without_the_setting_no_page_of_another_origin_may_call(client: TestClient) -> None:
    assert "access-control-allow-origin" not in client.get("/things", headers={"Origin": SHOP}).headers


def test_browsers_are_kept_from_guessing_and_storing(metrics: Metrics) -> None:
    with open_to_everybody(metrics, hsts_seconds=60) as client:
        headers, docs = client.get("/things").headers, client.get("/docs").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["strict-transport-security"] == "max-age=60; includeSubDomains"
    assert "content-security-policy" in headers
    assert "content-security-policy" not in docs


def test_headers_for_browsers_can_be_left_to_a_proxy(metrics: Metrics) -> None:
    with open_to_everybody(metrics, security_headers=False) as client:
        assert "x-content-type-options" not in client.get("/things").headers


def test_without_authentication_everybody_may_do_everything_and_the_document_asks_for_nothing(metrics: Metrics) -> None:
    with open_to_everybody(metrics) as client:
        assert client.post("/things", json={"text": "a"}).json() == {"caller": None}
        document = client.get("/openapi.json").json()
    assert "security" not in json.dumps(document)
    assert {"401", "403", "429"}.isdisjoint(document["paths"]["/things"]["get"]["responses"])


def test_a_limit_is_part_of_the_document(metrics: Metrics) -> None:
    with open_to_everybody(metrics, rate_limit="10/60") as client:
        responses = client.get("/openapi.json").json()["paths"]["/things"]["get"]["responses"]
    assert set(responses["429"]["headers"]) == {"Retry-After", "RateLimit", "RateLimit-Policy"}
    assert set(responses["200"]["headers"]) == {"RateLimit", "RateLimit-Policy"}
