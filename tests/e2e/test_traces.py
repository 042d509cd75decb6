"""The trace of an order, as an OpenTelemetry collector receives it from the five services."""

import httpx2
import pytest
from support.chassis import eventually
from support.collector import Collector
from support.deployment import Deployment
from support.orders import APPROVED, body, ended, messages, place

from oms_chassis.telemetry import tracing
from oms_contracts.topics import SERVICES

STEPS = {
    ("order", "POST /order"),
    ("payment", "process orderCreatedEvent"),
    ("payment", "call charge"),
    ("inventory", "process paymentCompletedEvent"),
    ("order", "process paymentCompletedEvent"),
    ("order", "process inventoryUpdatedEvent"),
    *((service, "process inventoryUpdatedEvent") for service in ("sms", "email")),
    *((service, f"call {service}") for service in ("sms", "email")),
}


def test_an_order_is_one_trace_through_the_five_services(
    orders: httpx2.Client, mailcatcher: str, collector: Collector
) -> None:
    if Deployment.given() is not None:
        pytest.skip("the spans of OMS_URL's deployment go elsewhere")
    root, sent = tracing.start(), body(("Item1", 1), name="Nimali Canary")
    order_id = place(orders, sent, {"traceparent": root})
    ended(orders, order_id)
    messages(mailcatcher, order_id)

    def steps() -> set[tuple[str, str]]:
        return {(span.service.removeprefix("oms-"), span.name) for span in collector.of_trace(tracing.trace_id(root))}

    eventually(lambda: steps() >= STEPS)
    spans = collector.of_trace(tracing.trace_id(root))
    assert {span.service for span in spans} == {f"oms-{name}" for name in SERVICES}
    assert not any(span.failed for span in spans)
    # The parent of each step is in the trace, except that of the first, which is the client's.
    ids = {span.span_id for span in spans}
    assert {span.parent_id for span in spans if span.parent_id not in ids} == {tracing.span_id(root)}
    received = b"".join(collector.bodies)
    for private in ("Nimali Canary", sent["customer"]["email"], "762222222", APPROVED, "NGAS Subashana"):
        assert private.encode() not in received
