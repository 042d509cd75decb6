"""What a customer's bank takes back is a step of the order's timeline, once, whatever has become of the order."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import structlog
from prometheus_client import CollectorRegistry
from support.chassis import deliver, pending_events

from oms_contracts import topics
from oms_contracts.envelope import Event
from oms_contracts.events import ChargeDisputed, InventoryUpdated
from oms_order import handlers
from oms_order.metrics import OrderMetrics


def learn(service: Any, *events: Event[Any]) -> None:
    handle = {one.topic.name: one.handle for one in handlers.subscriptions(OrderMetrics(CollectorRegistry()))}
    deliver(service.database, handle[events[0].type], list(events))


def disputed(order_id: str, dispute_id: str = "dp-1", amount: int = 250) -> Event[Any]:
    data = ChargeDisputed(order_id=order_id, dispute_id=dispute_id, amount=amount, currency="USD")
    return topics.CHARGE_DISPUTED.event(data, order_id)


@pytest.fixture
def order(service: Any, body: dict[str, Any]) -> str:
    return str(service.client.post("/order", json=body).json()["id"])


def confirm(service: Any, order_id: str) -> None:
    (created,) = pending_events(service.database, topics.ORDER_CREATED)
    data = InventoryUpdated.model_validate(created.data.model_dump(by_alias=True))
    learn(service, topics.INVENTORY_UPDATED.event(data, order_id))


def cancel(service: Any, order_id: str) -> None:
    assert service.client.post(f"/order/{order_id}/cancel").status_code == 202


def timeline(service: Any, order_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.client.get(f"/order/{order_id}").json()["timeline"]
    return found


@pytest.mark.parametrize(
    ("bring", "status"),
    [(None, "PENDING"), (confirm, "CONFIRMED"), (cancel, "CANCELLING")],
    ids=["at first", "confirmed", "cancelled"],
)
def test_a_dispute_is_shown_with_the_status_that_the_order_has(
    service: Any, order: str, bring: Any, status: str
) -> None:
    if bring:
        bring(service, order)
    before = timeline(service, order)
    learn(service, disputed(order))
    *earlier, step = timeline(service, order)
    assert earlier == before
    assert (step["position"], step["status"]) == (len(before) + 1, status)
    assert (step["disputeId"], step["disputed"]) == ("dp-1", 250)
    assert {"refundId", "refundStatus", "note", "actor"}.isdisjoint(step)
    assert service.client.get(f"/order/{order}").json()["status"] == status


def test_a_dispute_that_is_received_again_is_shown_once(service: Any, order: str) -> None:
    """As a new event, after payment's database was restored; and in the same batch."""
    learn(service, disputed(order), disputed(order))
    learn(service, disputed(order), disputed(order, "dp-2", 50))
    assert [step.get("disputeId") for step in timeline(service, order)] == [None, "dp-1", "dp-2"]


def test_an_order_goes_on_after_a_dispute(service: Any, order: str) -> None:
    learn(service, disputed(order))
    confirm(service, order)
    assert [step["status"] for step in timeline(service, order)] == ["PENDING", "PENDING", "PAID", "CONFIRMED"]
    assert [step["position"] for step in timeline(service, order)] == [1, 2, 3, 4]


def test_whoever_follows_the_order_sees_it(service: Any, order: str) -> None:
    confirm(service, order)
    learn(service, disputed(order))
    lines = service.client.get(f"/order/{order}/events").text.splitlines()
    assert [line for line in lines if line.startswith("data:")][-1].count("dp-1") == 1


def test_a_dispute_does_not_let_a_customer_cancel_what_was_delivered_long_ago(
    start: Callable[..., Any], order: str
) -> None:
    service = start(cancel_seconds=60.0)
    confirm(service, order)
    service.database.execute("UPDATE orders SET updated_at = updated_at - interval '1 hour'")
    service.database.execute("UPDATE timeline SET at = at - interval '1 hour'")
    learn(service, disputed(order))
    refused = service.client.post(f"/order/{order}/cancel")
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/too-late-to-cancel")
    assert timeline(service, order)[-1]["status"] == "CONFIRMED"


def test_a_dispute_of_an_unknown_order_is_logged_and_delays_nothing(service: Any, order: str) -> None:
    unknown = str(uuid4())
    with structlog.testing.capture_logs() as logs:
        learn(service, disputed(unknown), disputed("none"), disputed(order))
    logged = [one["order_id"] for one in logs if one["event"] == "dispute_of_unknown_order"]
    assert logged == [unknown, "none"]
    assert timeline(service, order)[-1]["disputeId"] == "dp-1"
