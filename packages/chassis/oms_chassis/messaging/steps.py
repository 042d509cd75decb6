"""The spans of a batch: one per event, in the trace of its order, and one of the batch with links to them.

Without an exporter no spans are recorded, and events keep the span that emitted them.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from oms_chassis.telemetry import spans, tracing
from oms_contracts.envelope import Event

LINKS = 128  # the most links of one span: OpenTelemetry's default limit


class Steps:
    """The spans of one batch, which begins now."""

    def __init__(self, service: str) -> None:
        self._service, self._began = service, time.time_ns()
        self._batch = tracing.start(sampled=True)
        self._events: list[_Stepped] = []

    @contextmanager
    def of(self, topic: str, events: list[Event[Any]]) -> Iterator[list[Event[Any]]]:
        """Run a block that handles these events, in the span of a single event or that of the batch. Yields the events
        with their own spans as trace context."""
        if not spans.are_on():
            with tracing.within(events[0].traceparent if len(events) == 1 else None):
                yield events
            return
        steps = [tracing.child(event.traceparent) for event in events]
        self._events += [_Stepped(topic, event, step) for event, step in zip(events, steps, strict=True)]
        with tracing.entered(steps[0] if len(steps) == 1 else self._batch):
            yield [one.event.model_copy(update={"traceparent": one.step}) for one in self._events[-len(steps) :]]

    def record(self) -> None:
        """Record the spans. Called after the commit: what was rolled back leaves none."""
        for one in self._events:
            name, parent = f"process {one.topic}", one.event.traceparent
            spans.record(name, "consumer", one.step, parent, self._began, attributes=one.attributes())
        links = [one.step for one in self._events if tracing.is_sampled(one.step)][:LINKS]
        if links:
            count = {"messaging.batch.message_count": len(self._events)}
            name = f"{self._service} batch"
            spans.record(name, "internal", self._batch, None, self._began, links=links, attributes=count)


class _Stepped(NamedTuple):
    topic: str
    event: Event[Any]
    step: str

    def attributes(self) -> Mapping[str, str]:
        """As OpenTelemetry's conventions for messaging name them."""
        return {
            "messaging.system": "kafka",
            "messaging.operation.type": "process",
            "messaging.destination.name": self.topic,
            "messaging.kafka.message.key": self.event.subject,
        }
