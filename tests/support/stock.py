"""Events for tests of the inventory, and their outcomes."""

from collections.abc import Mapping
from typing import Any

from oms_chassis.db import Database
from oms_contracts.envelope import Event
from oms_contracts.events import InventoryRejected, OrderCancelled, OrderRefundRequested, PaymentCompleted
from oms_contracts.parts import Customer, Line, RefundedLine
from oms_contracts.topics import (
    INVENTORY_REJECTED,
    INVENTORY_UPDATED,
    ORDER_CANCELLED,
    ORDER_REFUND_REQUESTED,
    PAYMENT_COMPLETED,
)
from oms_inventory import catalogue
from oms_inventory.schemas import DifferenceView
from support.chassis import pending_events

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ADA = Customer(name="Ada", email="ada@example.com", phone_number="762222222", phone_e164="+94762222222")


def paid(order_id: str, quantities: Mapping[str, int]) -> Event[PaymentCompleted]:
    """Return the event of a paid order. Each call makes a different event, even about the same order."""
    data = PaymentCompleted(**_order(order_id, quantities), payment_id=f"payment-of-{order_id}")
    return PAYMENT_COMPLETED.event(data, order_id, TRACE)


def cancelled(order_id: str, quantities: Mapping[str, int]) -> Event[OrderCancelled]:
    """Return the event of an order that its customer cancelled."""
    data = OrderCancelled(**_order(order_id, quantities), reason="customer")
    return ORDER_CANCELLED.event(data, order_id, TRACE)


def refund_requested(
    order_id: str, refund_id: str, quantities: Mapping[str, int], *, restock: bool = True
) -> Event[OrderRefundRequested]:
    """Return the request of a refund of items that were returned."""
    lines = [RefundedLine(item_id=item, name=f"The {item}", quantity=n) for item, n in quantities.items()]
    data = OrderRefundRequested(
        order_id=order_id, refund_id=refund_id, amount=100, currency="USD", lines=lines, restock=restock
    )
    return ORDER_REFUND_REQUESTED.event(data, order_id, TRACE)


def _order(order_id: str, quantities: Mapping[str, int]) -> dict[str, Any]:
    lines = [Line(item_id=item, name=f"The {item}", quantity=n, unit_price=100) for item, n in quantities.items()]
    return {
        "order_id": order_id,
        "customer": ADA,
        "lines": lines,
        "total": sum(line.quantity * line.unit_price for line in lines),
        "currency": "USD",
    }


def outcomes(database: Database) -> list[tuple[str, bool]]:
    """Return the orders that were answered, in order, and whether they got their stock."""
    answers = [
        event for event in pending_events(database) if event.type in {INVENTORY_UPDATED.name, INVENTORY_REJECTED.name}
    ]
    return [(event.subject, not isinstance(event.data, InventoryRejected)) for event in answers]


def differences(database: Database) -> list[DifferenceView]:
    """Return the items whose stock differs from the sum of their movements."""
    return catalogue.differences(database, 1000, None)[0]


def stock(database: Database) -> dict[str, tuple[int, int]]:
    """Return what is on hand and what was sold of each item."""
    return {row.id: (row.on_hand, row.sold) for row in database.execute("SELECT id, on_hand, sold FROM item")}
