"""Routes: their dependencies, documentation, metrics and traces."""

import pytest
from starlette.testclient import TestClient
from support.things import router

from oms_chassis.http import app
from oms_chassis.http.edge import Edge
from oms_chassis.http.problems import MEDIA_TYPE
from oms_chassis.telemetry import tracing
from oms_chassis.telemetry.metrics import Metrics


def test_a_route_gets_the_object_that_the_composition_root_provides(client: TestClient) -> None:
    assert client.get("/answer").json() == 42


def test_an_application_without_an_object_that_a_route_needs_is_not_created(metrics: Metrics) -> None:
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


def test_requests_refused_before_routing_are_measured_by_route_too(client: TestClient, metrics: Metrics) -> None:
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
