"""Events for tests of this service."""

from datetime import UTC, datetime
from typing import Any

from oms_chassis.db import Database
from oms_chassis.jobs.queue import claim
from oms_contracts.envelope import Event
from oms_contracts.events import InventoryRejected, OrderCancelled, OrderCreated, OrderRefundRequested
from oms_contracts.parts import Customer, Line, PaymentMethod, Shortage
from oms_contracts.topics import INVENTORY_REJECTED, ORDER_CANCELLED, ORDER_CREATED, ORDER_REFUND_REQUESTED

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def created(order_id: str, token: str, total: int = 2500) -> Event[OrderCreated]:
    """Return the event of an accepted order."""
    method = PaymentMethod(token=token, brand="visa", last4="4242", expiry="12/34")
    data = OrderCreated(**_order(order_id, total), payment=method, placed_at=datetime.now(UTC))
    return ORDER_CREATED.event(data, order_id, TRACE)


def rejected(order_id: str, total: int = 2500) -> Event[InventoryRejected]:
    """Return the event of an order without enough stock."""
    shortage = Shortage(item_id="Item1", requested=2, available=1)
    data = InventoryRejected(**_order(order_id, total), shortages=[shortage])
    return INVENTORY_REJECTED.event(data, order_id, TRACE)


def cancelled(order_id: str, total: int = 2500, *, again: bool = False) -> Event[OrderCancelled]:
    """Return the event of an order that its customer cancelled."""
    data = OrderCancelled(**_order(order_id, total), reason="customer", again=again)
    return ORDER_CANCELLED.event(data, order_id, TRACE)


def refund_requested(
    order_id: str, refund_id: str, amount: int, currency: str = "USD", *, failed: bool | None = None
) -> Event[OrderRefundRequested]:
    """Return the request of a refund, or, if it has `failed` as far as the order service knows, the query about it."""
    about: dict[str, Any] = {"order_id": order_id, "refund_id": refund_id, "amount": amount, "currency": currency}
    data = OrderRefundRequested(**about, lines=[], restock=False, failed=failed)
    return ORDER_REFUND_REQUESTED.event(data, order_id, TRACE)


def begin_charges(database: Database) -> None:
    """Let a worker claim the due charges, which is the first thing that it does."""
    with database.transaction() as transaction:
        claim(transaction, "charge", 100, lease=60.0)


def _order(order_id: str, total: int) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "customer": Customer(name="Ada", email="ada@example.com", phone_number="762222222"),
        "lines": [Line(item_id="Item1", name="Kettle", quantity=2, unit_price=total // 2)],
        "total": total,
        "currency": "USD",
    }
