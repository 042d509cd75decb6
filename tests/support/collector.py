"""A collector of spans, which receives OTLP over HTTP and parses it with OpenTelemetry's own messages."""

import gzip
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from support.serving import serving

PATH = "/v1/traces"


@dataclass(frozen=True)
class Received:
    """A span as it was received. Ids are hexadecimal; `links` are the ids of other spans."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    seconds: float
    failed: bool
    attributes: Mapping[str, str]
    links: tuple[str, ...]


@dataclass
class Collector:
    """The spans that were received, and the URL to which they are sent."""

    url: str
    spans: list[Received] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def of_trace(self, trace_id: str) -> list[Received]:
        """Return all spans of a trace."""
        return [span for span in self.spans if span.trace_id == trace_id]


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector during the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    server.collector = collector  # type: ignore[attr-defined]
    with serving(server):
        yield collector


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        collector: Collector = self.server.collector  # type: ignore[attr-defined]
        collector.bodies.append(body)
        collector.spans += _read(body)
        self.send_response(200 if self.path == PATH else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that it overrides
        pass


def _read(body: bytes) -> Iterator[Received]:
    for of_service in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = _attributes(of_service.resource.attributes)["service.name"]
        for scope in of_service.scope_spans:
            yield from (_received(service, span) for span in scope.spans)


def _received(service: str, span: trace_pb2.Span) -> Received:
    return Received(
        service=service,
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        failed=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        attributes=_attributes(span.attributes),
        links=tuple(link.span_id.hex() for link in span.links),
    )


def _attributes(pairs: "Iterator[KeyValue]") -> dict[str, str]:
    values = {pair.key: pair.value for pair in pairs}
    return {key: str(getattr(value, value.WhichOneof("value") or "string_value")) for key, value in values.items()}
