"""Disputes: what a customer's bank has taken back is shown in the order's timeline, whatever the order's status."""

from oms_chassis.db import Transaction
from oms_chassis.telemetry.logs import logger
from oms_contracts.envelope import Event
from oms_contracts.events import ChargeDisputed
from oms_order import ids
from oms_order.repository import orders, timelines

log = logger(__name__)


def note(transaction: Transaction, events: list[Event[ChargeDisputed]]) -> None:
    """Show each dispute in the timeline of its order, once."""
    disputes = {(event.subject, event.data.dispute_id): event.data for event in events}
    known = orders.lock(transaction, {order_id for order_id, _ in disputes if ids.parse(order_id)})
    for order_id, dispute_id in disputes:
        if order_id not in known:
            log.warning("dispute_of_unknown_order", order_id=order_id, dispute_id=dispute_id)
    steps = (
        {"order_id": order_id, "dispute_id": dispute_id, "disputed": dispute.amount}
        for (order_id, dispute_id), dispute in disputes.items()
        if order_id in known
    )
    timelines.write(transaction, steps)
