"""The HTTP edge: every error is a problem, and none repeats what was sent."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import httpx2
import psycopg
import pytest
from fastapi import APIRouter, Depends, Header, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from oms_chassis.http import app
from oms_chassis.http.dependencies import Provided
from oms_chassis.http.edge import Edge
from oms_chassis.http.identity.requirements import Needs
from oms_chassis.http.problems import MEDIA_TYPE, Problem, Unavailable, documented
from oms_chassis.telemetry import tracing
from oms_chassis.telemetry.metrics import Metrics

SECRET = "4242424242424242"


class Line(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: str = Field(max_length=5)
    quantity: int


class Body(BaseModel):
    lines: list[Line]


# In a process of its own: OpenTelemetry's providers are global, and can be set once.
LISTENER = """
from fastapi import APIRouter, Depends
from opentelemetry import _logs
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from oms_chassis.http import app
from oms_chassis.http.edge import Edge
from oms_chassis.http.identity.requirements import Needs
from oms_chassis.telemetry.metrics import Metrics

emitted = []

class Logger(_logs.NoOpLogger):
    def emit(self, *record, **more):
        emitted.append((record, more))

class Provider(_logs.LoggerProvider):
    def get_logger(self, name, *_, **__):
        return Logger(name)

_logs.set_logger_provider(Provider())
router = APIRouter(dependencies=[Depends(Needs())])

@router.get("/bug")
def bug():
    raise LookupError("4242424242424242")

made = app.create("test", [router], [], Metrics(CollectorRegistry()), edge=Edge.open())
with TestClient(made, raise_server_exceptions=False) as client:
    print(f"answered {client.get('/bug').status_code}, emitted {emitted}")
"""
router = APIRouter(dependencies=[Depends(Needs())])


class Taken(Problem):
    """Somebody was here before."""

    status, kind, title = 409, "taken", "It is taken"
    headers: Mapping[str, str] = {"Retry-After": "3"}
    documented_headers = ("Location",)


class Gone(Problem):
    """Nobody was here."""

    status, kind, title = 409, "gone", "It is gone"


@dataclass(frozen=True)
class Answer:
    value: int


@router.post("/things")
def post(body: Body) -> dict[str, int]:
    return {"lines": len(body.lines)}


@router.get("/things/{number}")
def get(number: str, limit: Annotated[int, Query(le=3)] = 1, x_size: Annotated[int, Header()] = 0) -> dict[str, Any]:
    raised: dict[str, Exception] = {
        "gone": OperationalError("SELECT 1", {}, Exception("away")),
        "bug": LookupError(SECRET),
        "taken": Taken(detail="By someone else"),
    }
    if number in raised:
        raise raised[number]
    return {"trace": tracing.current(), "limit": limit, "size": x_size}


def part(part: str) -> str:
    return part


@router.put("/things/{number}")
def put(number: str, part: Annotated[str, Depends(part)]) -> dict[str, str]:
    return {"part": part}


@router.get("/answer", responses=documented(Taken, Gone, Unavailable))
def answer(answer: Annotated[Answer, Depends(Provided(Answer))]) -> int:
    return answer.value


@router.post("/lost/by-key")
def lose_by_key(key: Annotated[str | None, Header(alias="Idempotency-Key")] = None) -> None:
    """The same, of a route that does once what is sent with one key."""
    lose()


@router.api_route("/lost", methods=["GET", "POST", "PUT"])
def lose() -> None:
    """The commit was sent, and its answer did not come."""
    error = psycopg.OperationalError()
    error.leaves_outcome_open = True  # type: ignore[attr-defined] # as sessions mark it
    raise OperationalError(None, None, error)


@pytest.fixture
def client(metrics: Metrics) -> Iterator[TestClient]:
    made = app.create("test", [router], [Answer(42)], metrics, body_limit=1000, edge=Edge.open())
    with TestClient(made) as client:  # which raises what the application lets out
        yield client


def problem(response: httpx2.Response, status: int, kind: str) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["content-type"] == MEDIA_TYPE
    body: dict[str, Any] = response.json()
    assert (body["type"], body["status"]) == (f"/problems/{kind}", status)
    assert SECRET not in response.text
    return body


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ({"id": SECRET, "quantity": 1}, "lines[0].id"),
        ({"id": "a", "quantity": SECRET + "x"}, "lines[0].quantity"),
        ({"id": "a", "quantity": 1, "more": SECRET}, "lines[0].more"),
        ({"quantity": 1}, "lines[0].id"),
        (SECRET, "lines[0]"),
    ],
)
def test_an_invalid_body_names_the_field_and_not_the_value(client: TestClient, line: Any, field: str) -> None:
    body = problem(client.post("/things", json={"lines": [line]}), 422, "invalid-request")
    assert [error["field"] for error in body["errors"]] == [field]


def test_broken_json_is_a_problem_of_its_own(client: TestClient) -> None:
    headers = {"Content-Type": "application/json"}
    problem(client.post("/things", content=f'{{"lines": {SECRET}', headers=headers), 400, "malformed-json")


def test_a_body_over_the_limit_is_refused_by_its_length(client: TestClient) -> None:
    problem(client.post("/things", content=b"x" * 1001), 413, "body-too-large")


def test_a_body_over_the_limit_is_refused_while_it_comes_in(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(11):
            yield b"x" * 100

    problem(client.post("/things", content=chunks()), 413, "body-too-large")


@pytest.mark.parametrize("length", ["-1", "many"])
def test_a_length_that_is_no_number_is_refused(client: TestClient, length: str) -> None:
    problem(client.post("/things", content=b"", headers={"Content-Length": length}), 413, "body-too-large")


def test_query_and_header_are_named(client: TestClient) -> None:
    body = problem(client.get("/things/1?limit=9", headers={"X-Size": "big"}), 422, "invalid-request")
    assert {error["field"] for error in body["errors"]} == {"limit", "x-size"}


def test_an_unknown_address_and_a_wrong_method_are_problems(client: TestClient) -> None:
    problem(client.get("/nothing"), 404, "not-found")
    problem(client.delete("/things"), 405, "method-not-allowed")


def test_a_wrong_method_is_answered_with_all_that_are_right(client: TestClient) -> None:
    for path, allowed in (("/things", "OPTIONS, POST"), ("/things/1", "GET, HEAD, OPTIONS, PUT")):
        response = client.delete(path)
        problem(response, 405, "method-not-allowed")
        assert response.headers["allow"] == allowed


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/nowhere", 404), ("PUT", "/things", 405), ("PATCH", "/things", 405), ("POST", "/things/1", 405)],
)
@pytest.mark.parametrize(
    ("body", "media_type"), [("a=1", "application/x-www-form-urlencoded"), ("{", "application/json")]
)
def test_where_no_body_is_taken_nobody_judges_it(
    client: TestClient, method: str, path: str, status: int, body: str, media_type: str
) -> None:
    answer = client.request(method, path, content=body, headers={"Content-Type": media_type})
    problem(answer, status, "not-found" if status == 404 else "method-not-allowed")


def test_a_slash_too_many_leads_nowhere(client: TestClient) -> None:
    response = client.post("/things/", json={"lines": []}, headers={"Host": "evil.example"}, follow_redirects=False)
    problem(response, 404, "not-found")
    assert "location" not in response.headers


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("Limit=1", "Limit"),
        ("limit=1&page=" + SECRET, "page"),
        ("page", "page"),
        (SECRET + "=1", "?"),
        ("limit=1&limit=2", "limit"),
        ("limit=1&limit=", "limit"),
    ],
)
def test_a_parameter_that_is_unknown_or_repeated_is_refused(client: TestClient, query: str, field: str) -> None:
    body = problem(client.get(f"/things/1?{query}"), 422, "invalid-request")
    assert [error["field"] for error in body["errors"]] == [field]


def test_each_method_of_an_address_has_parameters_of_its_own(client: TestClient) -> None:
    assert client.get("/things/1?limit=2").json()["limit"] == 2
    assert client.put("/things/1?part=a").json() == {"part": "a"}
    problem(client.put("/things/1?limit=2"), 422, "invalid-request")
    problem(client.post("/things?limit=2", json={"lines": []}), 422, "invalid-request")
    problem(client.get("/nothing?limit=2"), 404, "not-found")
    assert client.get("/openapi.json?download=1").status_code == 200


def test_of_very_many_mistakes_an_answer_names_the_first(client: TestClient) -> None:
    errors = problem(client.post("/things", json={"lines": [{}] * 60}), 422, "invalid-request")["errors"]
    assert [error["field"] for error in errors] == [
        f"lines[{n}].{name}" for n in range(50) for name in ("id", "quantity")
    ]


def test_an_unknown_field_that_looks_like_no_name_is_not_repeated(client: TestClient) -> None:
    body = problem(
        client.post("/things", json={"lines": [{"id": "a", "quantity": 1, SECRET: 1}]}), 422, "invalid-request"
    )
    assert [error["field"] for error in body["errors"]] == ["lines[0].?"]


def test_a_database_that_is_away_is_503_and_says_when_to_come_back(client: TestClient) -> None:
    response = client.get("/things/gone")
    problem(response, 503, "unavailable")
    assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("method", "path", "key", "kind", "again"),
    [
        ("GET", "/lost", None, "unavailable", "1"),
        ("POST", "/lost", None, "outcome-unknown", None),
        ("POST", "/lost", "k", "outcome-unknown", None),  # which this route takes no notice of
        ("POST", "/lost/by-key", None, "outcome-unknown", None),
        ("POST", "/lost/by-key", "k", "outcome-unknown", "1"),
        ("PUT", "/lost", None, "outcome-unknown", "1"),
    ],
)
def test_a_lost_answer_is_never_said_to_be_a_refusal(
    client: TestClient, method: str, path: str, key: str | None, kind: str, again: str | None
) -> None:
    response = client.request(method, path, headers={"Idempotency-Key": key} if key else {})
    problem(response, 503, kind)
    assert response.headers.get("retry-after") == again


def test_a_bug_is_500_and_reveals_nothing(client: TestClient) -> None:
    problem(client.get("/things/bug"), 500, "internal")


def test_a_collector_that_listens_in_the_process_receives_no_text_of_an_error() -> None:
    done = subprocess.run([sys.executable, "-c", LISTENER], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("answered 500, emitted []\n")


def test_a_route_gets_the_object_that_the_composition_root_provides(client: TestClient) -> None:
    assert client.get("/answer").json() == 42


def test_an_application_that_lacks_what_a_route_depends_on_is_not_made(metrics: Metrics) -> None:
    with pytest.raises(LookupError, match="Answer"):
        app.create("test", [router], [], metrics, edge=Edge.open())


def test_a_route_documents_the_problems_that_it_names(client: TestClient) -> None:
    responses = client.get("/openapi.json").json()["paths"]["/answer"]["get"]["responses"]
    assert "`taken`: It is taken. Somebody was here before." in responses["409"]["description"]
    assert "`gone`" in responses["409"]["description"]
    assert set(responses["409"]["headers"]) == {"Retry-After", "Location"}
    assert set(responses["503"]["content"]) == {MEDIA_TYPE}


def test_every_route_documents_what_is_answered_before_it_is_called(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    answer, post = document["paths"]["/answer"]["get"]["responses"], document["paths"]["/things"]["post"]["responses"]
    before = {"400", "408", "413", "415", "422", "431", "500", "501", "505", "default"}
    assert (set(answer), set(post)) == ({"200", "409", "503", *before}, {"200", *before})
    assert ["`malformed-json`" in one["400"]["description"] for one in (answer, post)] == [False, True]
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert set(document["components"]["schemas"]["Problem"]["properties"]) == {
        "type", "title", "status", "detail", "errors"
    }  # fmt: skip


def test_a_services_own_problem_keeps_its_detail_and_headers(client: TestClient) -> None:
    response = client.get("/things/taken")
    assert problem(response, 409, "taken")["detail"] == "By someone else"
    assert response.headers["retry-after"] == "3"


def test_a_request_runs_within_the_trace_that_it_brings(client: TestClient) -> None:
    parent = tracing.start()
    trace = client.get("/things/1", headers={"traceparent": parent}).json()["trace"]
    assert tracing.trace_id(trace) == tracing.trace_id(parent)
    assert trace != parent


def test_requests_are_measured_by_route(client: TestClient, metrics: Metrics) -> None:
    client.get("/things/1")
    client.get("/things/2")
    samples = [
        (sample.labels["route"], sample.value)
        for metric in metrics.http_requests.collect()
        for sample in metric.samples
        if sample.name.endswith("_count")
    ]
    assert samples == [("/things/{number}", 2.0)]


def test_what_is_refused_on_its_way_is_measured_by_its_route_too(client: TestClient, metrics: Metrics) -> None:
    client.post("/things", content=b"{", headers={"Content-Type": "application/json"})
    client.post("/things", content=b"{}", headers={"Content-Type": "text/plain"})
    client.post("/things", content=b"{}", headers={"Content-Encoding": "gzip"})
    client.post("/things", content=b"x" * 100_000, headers={"Content-Type": "application/json"})
    client.delete("/things")
    client.get("/nowhere")
    samples = {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for metric in metrics.http_requests.collect()
        for sample in metric.samples
        if sample.name.endswith("_count")
    }
    assert samples == {
        ("POST", "/things", "400"): 1,
        ("POST", "/things", "415"): 2,
        ("POST", "/things", "413"): 1,
        ("DELETE", "/things", "405"): 1,
        ("GET", "unknown", "404"): 1,
    }


@pytest.mark.parametrize("bad", ["", "00-zz-zz-01", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "x" * 55])
def test_a_malformed_trace_is_replaced_by_a_new_one(bad: str) -> None:
    child = tracing.child(bad)
    assert tracing.trace_id(tracing.child(child)) == tracing.trace_id(child)
