"""What an erasure waits for: events of a customer's orders and refunds that somebody may have to read yet."""

from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from support.admin import operated
from support.chassis import deliver, pending_events

from oms_chassis.runtime.service import Components
from oms_contracts import topics
from oms_contracts.envelope import Event
from oms_contracts.events import ChargeDisputed, InventoryUpdated, RefundCompleted, RefundFailed
from oms_order import admin, handlers
from oms_order.metrics import OrderMetrics
from oms_order.repository import orders
from oms_order.requests import SAMPLE


@pytest.fixture
def operator(service: Any) -> Iterator[TestClient]:
    with operated("order", service.database, Components(admin=[admin.router], states=orders.states)) as client:
        yield client


def announced(operator: TestClient) -> list[str]:
    """The orders and refunds."""
    found = operator.post("/admin/customers/find", json={"email": SAMPLE["customer"]["email"]}).json()
    assert set(found["announced"].values()) <= set(found["orders"])
    return list(found["announced"])


def learn(service: Any, event: Event[Any]) -> None:
    handle = {one.topic.name: one.handle for one in handlers.subscriptions(OrderMetrics(CollectorRegistry()))}
    deliver(service.database, handle[event.type], [event])


@pytest.fixture
def order(service: Any) -> str:
    """A confirmed one."""
    placed = str(service.client.post("/order", json=SAMPLE).json()["id"])
    (created,) = pending_events(service.database, topics.ORDER_CREATED)
    data = InventoryUpdated.model_validate(created.data.model_dump(by_alias=True))
    learn(service, topics.INVENTORY_UPDATED.event(data, placed))
    return placed


def test_an_order_that_has_ended_is_waited_for_until_topics_have_forgotten_it_whatever_its_bank_disputes(
    service: Any, order: str, operator: TestClient
) -> None:
    assert announced(operator) == [order]
    service.database.execute("UPDATE timeline SET at = at - interval '10 days'")
    learn(
        service,
        topics.CHARGE_DISPUTED.event(
            ChargeDisputed(order_id=order, dispute_id="dp-1", amount=250, currency="USD"), order
        ),
    )
    assert announced(operator) == []


def test_a_refund_that_succeeded_is_waited_for_also_when_its_money_was_sent_back_since(
    service: Any, order: str, operator: TestClient
) -> None:
    made = service.client.post(f"/order/{order}/refund", json={"amount": 1}).json()["id"]
    service.database.execute("UPDATE timeline SET at = at - interval '10 days'")
    assert announced(operator) == []
    about = {"order_id": order, "refund_id": made, "amount": 1, "currency": "USD"}
    learn(service, topics.REFUND_COMPLETED.event(RefundCompleted(**about, reference="re-1", outcome=1), order))
    assert announced(operator) == [made]
    learn(service, topics.REFUND_FAILED.event(RefundFailed(**about, reason="gateway-failed", outcome=2), order))
    assert announced(operator) == [made]
    service.database.execute("UPDATE timeline SET at = at - interval '10 days'")
    assert announced(operator) == []


def test_nobody_is_notified_of_a_cancelled_order_s_refund_nor_is_it_waited_for(
    service: Any, order: str, operator: TestClient
) -> None:
    service.database.execute("UPDATE timeline SET at = at - interval '10 days'")
    service.database.execute("UPDATE orders SET status = 'CANCELLED', reason = 'customer'")
    data = RefundCompleted(order_id=order, refund_id=order, amount=1, currency="USD", reference="re-1", outcome=None)
    learn(service, topics.REFUND_COMPLETED.event(data, order))
    assert announced(operator) == []
