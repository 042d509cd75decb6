"""Spans as a collector receives them from OpenTelemetry's own exporter."""

import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from fastapi import APIRouter, Depends
from starlette.testclient import TestClient
from support.chassis import MemoryStream, eventually
from support.collector import Collector, collecting
from support.serving import serving

from oms_chassis.db import Database, Transaction
from oms_chassis.http import app
from oms_chassis.http.edge import Edge
from oms_chassis.http.identity.requirements import Needs
from oms_chassis.jobs.queue import Done, Job, JobQueue, NewJob, Outcome, Retry, enqueue
from oms_chassis.jobs.worker import Worker
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.messaging.streams import Outgoing
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.telemetry import otlp, spans, tracing
from oms_chassis.telemetry.metrics import Metrics
from oms_chassis.telemetry.otlp import LAST, Exporter
from oms_chassis.telemetry.spans import Span
from oms_contracts.envelope import Event
from oms_contracts.events import ItemUpdated
from oms_contracts.topics import ITEM_UPDATED
from oms_servers.ports import free_port

router = APIRouter(dependencies=[Depends(Needs())])


@router.get("/thing/{number}")
def thing(number: int) -> dict[str, str]:
    if number == 500:
        raise LookupError
    return {"step": tracing.current() or ""}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@contextmanager
def exporting(url: str, metrics: Metrics, ratio: float = 1.0) -> Iterator[Exporter]:
    """Export spans to a collector during a block, after which all have arrived."""
    exporter = Exporter("test", url, metrics.spans)
    spans.configure(exporter.export, ratio)
    try:
        yield exporter
    finally:
        spans.configure(None)
        exporter.close()


def client(metrics: Metrics) -> TestClient:
    return TestClient(app.create("test", [router], [], metrics, 1000, edge=Edge.open()), raise_server_exceptions=False)


def event(item: str, traceparent: str | None) -> Event[Any]:
    data = ItemUpdated(item_id=item, name="A thing", unit_price=100, currency="USD", available=True, version=1)
    return ITEM_UPDATED.event(data, item, traceparent)


def consume(database: Database, metrics: Metrics, events: list[Event[Any]], handle: Any) -> None:
    stream = MemoryStream()
    stream.send([Outgoing(ITEM_UPDATED.name, one.subject.encode(), one.encode().encode()) for one in events])
    consumer = Consumer("test", database, [Subscription(ITEM_UPDATED, handle)], lambda: stream, metrics)
    consumer.work(stream.poll(0))


def make(database: Database, metrics: Metrics, job: NewJob, call: Callable[[Job], Outcome]) -> None:
    """Let a worker make the job's call once."""
    ended: list[object] = []
    job_queue = JobQueue(
        "calls",
        call,
        settle=lambda _, calls: ended.extend(calls),
        give_up=lambda _, jobs: ended.extend(jobs),
        max_attempts=1,
    )
    with database.transaction() as transaction:
        enqueue(transaction, job_queue.name, [job])
    worker = Worker(job_queue, database, metrics)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        eventually(lambda: ended)
    finally:
        worker.stop()
        thread.join(10)


def test_a_request_is_a_span_in_the_trace_of_its_sender(collector: Collector, metrics: Metrics) -> None:
    parent = tracing.start()
    with exporting(collector.url, metrics):
        step = client(metrics).get("/thing/1", headers={"traceparent": parent}).json()["step"]
    (span,) = collector.spans
    assert (span.service, span.name, span.kind) == ("oms-test", "GET /thing/{number}", "server")
    assert (span.trace_id, span.parent_id) == (tracing.trace_id(parent), tracing.span_id(parent))
    assert (span.trace_id, span.span_id) == (tracing.trace_id(step), tracing.span_id(step))
    assert span.attributes["http.response.status_code"] == "200"
    assert not span.failed


def test_a_request_that_fails_is_a_span_that_failed(collector: Collector, metrics: Metrics) -> None:
    with exporting(collector.url, metrics):
        client(metrics).get("/thing/500")
        client(metrics).get("/thing/x")
    assert {span.attributes["http.response.status_code"]: span.failed for span in collector.spans} == {
        "500": True,
        "422": False,
    }


@pytest.mark.parametrize("given", ["nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", ""])
def test_a_request_with_a_malformed_parent_begins_a_trace(collector: Collector, metrics: Metrics, given: str) -> None:
    with exporting(collector.url, metrics):
        client(metrics).get("/thing/1", headers={"traceparent": given})
    (span,) = collector.spans
    assert span.parent_id == ""


def test_each_event_of_a_batch_is_a_span_in_its_own_trace_and_the_batch_links_to_them(
    database: Database, metrics: Metrics, collector: Collector
) -> None:
    parents = [tracing.start() for _ in range(3)]
    stepped: list[str | None] = []

    def handle(_: Transaction, events: list[Event[Any]]) -> None:
        stepped.extend(event.traceparent for event in events)

    with exporting(collector.url, metrics):
        consume(database, metrics, [event(f"item-{i}", parent) for i, parent in enumerate(parents)], handle)
    spans_of = {span.trace_id: span for span in collector.spans if span.kind == "consumer"}
    assert [spans_of[tracing.trace_id(parent)].parent_id for parent in parents] == list(map(tracing.span_id, parents))
    assert {span.name for span in spans_of.values()} == {"process itemUpdatedEvent"}
    # What a handler passes on is the step that is recorded: the next one finds its parent.
    assert [spans_of[tracing.trace_id(parent)].span_id for parent in parents] == [
        tracing.span_id(step or "") for step in stepped
    ]
    (batch,) = [span for span in collector.spans if span.kind == "internal"]
    assert sorted(batch.links) == sorted(span.span_id for span in spans_of.values())
    assert batch.attributes == {"messaging.batch.message_count": "3"}


def test_work_that_is_rolled_back_leaves_no_span(database: Database, metrics: Metrics, collector: Collector) -> None:
    def handle(_: Transaction, events: list[Event[Any]]) -> None:
        if any(event.subject == "poison" for event in events):
            raise LookupError

    with exporting(collector.url, metrics):
        consume(database, metrics, [event("good", tracing.start()), event("poison", tracing.start())], handle)
    keys = [span.attributes["messaging.kafka.message.key"] for span in collector.spans if span.kind == "consumer"]
    assert keys == ["good"]


@pytest.mark.parametrize(("outcome", "failed"), [(Done(), False), (Retry("busy"), True)])
def test_a_call_to_the_outside_is_a_span(
    database: Database, metrics: Metrics, collector: Collector, outcome: Outcome, failed: bool
) -> None:
    parent = tracing.start()
    with exporting(collector.url, metrics):
        make(database, metrics, NewJob("one", "order-1", {"secret": "4242"}, parent), lambda _: outcome)
    (span,) = collector.of_trace(tracing.trace_id(parent))
    assert (span.name, span.kind, span.parent_id) == ("call calls", "client", tracing.span_id(parent))
    assert span.failed == failed
    assert not any(b"4242" in body for body in collector.bodies)


def test_a_trace_that_is_not_sampled_is_not_sent(database: Database, metrics: Metrics, collector: Collector) -> None:
    parent = tracing.start(sampled=False)
    with exporting(collector.url, metrics, ratio=0.0):
        assert (
            tracing.is_sampled(client(metrics).get("/thing/1", headers={"traceparent": parent}).json()["step"]) is False
        )
        client(metrics).get("/thing/1")
        consume(database, metrics, [event("a", parent)], lambda *_: None)
    assert collector.spans == []


def test_the_configured_share_of_traces_that_begin_here_is_sampled(collector: Collector, metrics: Metrics) -> None:
    with exporting(collector.url, metrics, ratio=0.5):
        sampled = sum(tracing.is_sampled(tracing.start()) for _ in range(2000))
    assert 800 < sampled < 1200


def test_an_unavailable_collector_holds_nothing_up_and_its_spans_are_counted(metrics: Metrics) -> None:
    with exporting(f"http://127.0.0.1:{free_port()}", metrics) as exporter:
        for _ in range(50):
            assert client(metrics).get("/thing/1").status_code == 200
        began = time.monotonic()
        exporter.close()
        assert time.monotonic() - began < LAST + 5
    assert sum(became(metrics).values()) == 50
    assert became(metrics)["sent"] == 0


def became(metrics: Metrics) -> dict[str, float]:
    """Return how many spans were sent, and how many were not."""
    outcomes = ("sent", "failed", "dropped")
    return {one: metrics.registry.get_sample_value("oms_spans_total", {"outcome": one}) or 0.0 for one in outcomes}


class Adversary(socketserver.BaseRequestHandler):
    """A collector that answers in the worst of ways."""

    def handle(self) -> None:
        self.request.recv(65_536)
        with suppress(OSError):
            self.request.sendall(self.server.says)  # type: ignore[attr-defined]
            while self.server.goes_on and not self.server.ended.wait(self.server.pause):  # type: ignore[attr-defined]
                self.request.sendall(self.server.goes_on)  # type: ignore[attr-defined]


@contextmanager
def adversary(says: bytes, goes_on: bytes = b"", pause: float = 0.0) -> Iterator[str]:
    server: Any = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Adversary)
    server.daemon_threads, server.ended = True, threading.Event()
    server.says, server.goes_on, server.pause = says, goes_on, pause
    with serving(server):
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.ended.set()


@pytest.mark.parametrize(
    ("says", "goes_on", "pause", "outcome"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n", b"", 0.0, "failed"),
        (b"HTTP/1.1 503 no\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n", b"", 0.0, "failed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n", b"x" * 1_000_000, 0.0, "sent"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n", b"x", 0.2, "sent"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x", 0.2, "failed"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", 0.2, "failed"),
    ],
    ids=["a login", "not for an hour", "no end", "a body that drips", "a header that drips", "headers that drip"],
)
def test_whatever_a_collector_answers_takes_a_bounded_time_and_is_counted(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch, says: bytes, goes_on: bytes, pause: float, outcome: str
) -> None:
    monkeypatch.setattr(otlp, "TIMEOUT", 1.0)
    with adversary(says, goes_on, pause) as url, exporting(url, metrics):
        client(metrics).get("/thing/1")
        eventually(lambda: became(metrics)[outcome] == 1, within=10)


def test_spans_for_which_there_is_no_room_are_dropped_and_counted(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "WAITING", 600)
    with adversary(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", 0.2) as url, exporting(url, metrics) as exporter:
        for number in range(1000):
            exporter.export(Span(f"step {number}", "internal", tracing.start(), None, 1, 2))
        assert became(metrics)["dropped"] == 400
    assert sum(became(metrics).values()) == 1000


def test_spans_that_were_sent_are_counted(metrics: Metrics, collector: Collector) -> None:
    with exporting(f"{collector.url}/v1/traces", metrics):
        client(metrics).get("/thing/1")
    assert metrics.registry.get_sample_value("oms_spans_total", {"outcome": "sent"}) == 1
