"""Sends spans to an OpenTelemetry collector, by OTLP over HTTP (opentelemetry.io/docs/specs/otlp).

The collector may be unavailable: spans wait in a queue of a fixed length and are dropped beyond it, and no order waits
for them. `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_RESOURCE_ATTRIBUTES` and similar variables work as OpenTelemetry documents
them.
"""

import threading
from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from prometheus_client import Counter

from oms_chassis.telemetry import tracing
from oms_chassis.telemetry.logs import logger
from oms_chassis.telemetry.spans import Kind, Span
from oms_chassis.telemetry.transport import Session

log = logger(__name__)

PATH = "/v1/traces"
TIMEOUT = 5.0  # seconds for a batch, including retries
LAST = 1.0  # seconds for queued spans when the process ends
DELAY = 1000.0  # milliseconds that a span may wait for others
WAITING = 2048  # spans that are queued or under way, at most
_KINDS: dict[Kind, SpanKind] = {
    "server": SpanKind.SERVER,
    "consumer": SpanKind.CONSUMER,
    "client": SpanKind.CLIENT,
    "internal": SpanKind.INTERNAL,
}


class Exporter:
    """Sends a service's spans to the collector at `endpoint`, from a thread of its own, until it is closed."""

    def __init__(self, service: str, endpoint: str, exported: Counter) -> None:
        self._ids = _GivenIds()
        self._provider = TracerProvider(
            ALWAYS_ON,
            Resource.create({"service.namespace": "oms", "service.name": f"oms-{service}"}),
            shutdown_on_exit=False,
            id_generator=self._ids,
        )
        self._exporter = _Counted(endpoint, exported)
        self._provider.add_span_processor(
            BatchSpanProcessor(self._exporter, max_queue_size=WAITING, schedule_delay_millis=DELAY)
        )
        self._tracer = self._provider.get_tracer("oms")

    def export(self, span: Span) -> None:
        """Queue a span; drop it if too many wait."""
        if not self._exporter.has_room():
            return
        self._ids.give(span.step)
        parent = trace.set_span_in_context(NonRecordingSpan(_context(span.parent))) if span.parent else None
        recorded = self._tracer.start_span(
            span.name,
            parent,
            _KINDS[span.kind],
            dict(span.attributes),
            [Link(_context(link)) for link in span.links],
            span.began,
        )
        if span.failed:
            recorded.set_status(Status(StatusCode.ERROR))
        recorded.end(span.ended)

    def close(self) -> None:
        """Send the queued spans. Those that the collector does not accept at once are lost, so that no process ends
        late because of them."""
        closing = threading.Thread(target=self._provider.shutdown, name="spans-closing", daemon=True)
        closing.start()
        closing.join(LAST)
        if closing.is_alive():
            self._exporter.shutdown()
        self._exporter.end()


class _GivenIds(IdGenerator):
    """Supplies the ids that a step has had since it began: its events and log lines carry them."""

    def __init__(self) -> None:
        self._given = threading.local()

    def give(self, step: str) -> None:
        self._given.context = _context(step)

    def generate_trace_id(self) -> int:
        trace_id: int = self._given.context.trace_id
        return trace_id

    def generate_span_id(self) -> int:
        span_id: int = self._given.context.span_id
        return span_id


class _Counted(SpanExporter):
    """OTLP's exporter. It counts every span by outcome, and logs once that a collector does not accept spans."""

    def __init__(self, endpoint: str, exported: Counter) -> None:
        url = endpoint if endpoint.rstrip("/").endswith(PATH) else endpoint.rstrip("/") + PATH
        self._exporter = OTLPSpanExporter(url, timeout=TIMEOUT, compression=Compression.Gzip, session=Session())
        self._sent, self._failed, self._dropped = map(exported.labels, ("sent", "failed", "dropped"))
        self._lock = threading.Lock()
        self._waiting, self._is_over, self._is_away = 0, False, False

    def has_room(self) -> bool:
        """Return whether there is room for one more span. If so, count it as waiting, and otherwise as dropped."""
        with self._lock:
            is_room = self._waiting < WAITING and not self._is_over
            self._waiting += is_room
        if not is_room:
            self._dropped.inc()
        return is_room

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        with self._lock:
            if self._is_over:
                return result  # they count as dropped
            self._waiting -= len(spans)
        is_sent = result is SpanExportResult.SUCCESS
        (self._sent if is_sent else self._failed).inc(len(spans))
        if is_sent is self._is_away:
            self._is_away = not is_sent
            (log.info if is_sent else log.warning)("spans_are_sent" if is_sent else "spans_are_not_sent")
        return result

    def end(self) -> None:
        """Count the spans that are neither sent nor failed as dropped."""
        with self._lock:
            left, self._waiting, self._is_over = self._waiting, 0, True
        self._dropped.inc(left)

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002 - nothing is buffered here
        return True


def _context(traceparent: str) -> SpanContext:
    return SpanContext(
        int(tracing.trace_id(traceparent), 16),
        int(tracing.span_id(traceparent), 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
