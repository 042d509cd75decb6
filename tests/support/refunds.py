"""Refunds of confirmed orders, as clients request them and as payment answers."""

from typing import Any

from prometheus_client import CollectorRegistry

from oms_contracts import topics
from oms_contracts.envelope import Event
from oms_contracts.events import (
    InventoryUpdated,
    RefundCompleted,
    RefundFailed,
)
from oms_order import handlers
from oms_order.metrics import OrderMetrics
from oms_order.requests import SAMPLE
from support.chassis import deliver, pending_events

ITEMS = [{"id": "Item1", "quantity": 2}, {"id": "Item2", "quantity": 3}]  # at 100 and 200: 800 in all


TOTAL = 800
ONE = {"lines": [{"id": "Item1", "quantity": 1}]}


def place(service: Any) -> str:
    """Place an order of ITEMS, and return its id."""
    return str(service.client.post("/order", json={**SAMPLE, "items": ITEMS}).json()["id"])


def learn(service: Any, *events: Event[Any]) -> None:
    """Let the service consume events of one type, in one batch."""
    handle = {one.topic.name: one.handle for one in handlers.subscriptions(OrderMetrics(CollectorRegistry()))}
    deliver(service.database, handle[events[0].type], list(events))


def confirm(service: Any, order_id: str) -> str:
    """Confirm an order, and return its id."""
    (created,) = [e.data for e in pending_events(service.database, topics.ORDER_CREATED) if e.subject == order_id]
    data = InventoryUpdated.model_validate(created.model_dump(by_alias=True))
    learn(service, topics.INVENTORY_UPDATED.event(data, order_id))
    return order_id


def refund(service: Any, order_id: str, body: Any, key: str | None = None) -> Any:
    """Request a refund."""
    headers = {"Idempotency-Key": key} if key else {}
    return service.client.post(f"/order/{order_id}/refund", json=body, headers=headers)


def requests(service: Any) -> list[Event[Any]]:
    """Return the requests to payment and inventory."""
    return pending_events(service.database, topics.ORDER_REFUND_REQUESTED)


def shown(service: Any, order_id: str) -> Any:
    """Return an order as its customer sees it."""
    return service.client.get(f"/order/{order_id}").json()


def completed(order_id: str, refund_id: str, number: int | None = None) -> Event[RefundCompleted]:
    """Return payment's event of a completed refund."""
    data = RefundCompleted(
        order_id=order_id, refund_id=refund_id, amount=100, currency="USD", reference="re-1", outcome=number
    )
    return topics.REFUND_COMPLETED.event(data, order_id)


def complete(service: Any, order_id: str, refund_id: str, number: int | None = None) -> None:
    """Let a refund succeed."""
    learn(service, completed(order_id, refund_id, number))


def fail(service: Any, order_id: str, refund_id: str, number: int | None = None) -> None:
    """Let a refund fail."""
    data = RefundFailed(
        order_id=order_id, refund_id=refund_id, amount=100, currency="USD", reason="gateway-refused", outcome=number
    )
    learn(service, topics.REFUND_FAILED.event(data, order_id))
