"""Taking stock for paid orders: a batch is five statements, however many orders and items it touches."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from oms_chassis import tracing
from oms_chassis.db import Transaction
from oms_contracts.envelope import Event
from oms_contracts.events import InventoryRejected, InventoryUpdated, OrderEvent, PaymentCompleted
from oms_contracts.topics import INVENTORY_REJECTED, INVENTORY_UPDATED, Topic
from oms_inventory import stock
from oms_inventory.domain import Decision, decide, demand, taken

_NEW = """
INSERT INTO taking (order_id, is_taken) SELECT order_id, true
FROM json_to_recordset(%(rows)s::json) AS r(order_id text) ORDER BY order_id
ON CONFLICT DO NOTHING RETURNING order_id
"""
_REJECT = """
UPDATE taking SET is_taken = false
FROM json_to_recordset(%(rows)s::json) AS r(order_id text) WHERE taking.order_id = r.order_id
"""
_RESERVE = """
INSERT INTO reservation (order_id, item_id, quantity)
SELECT * FROM json_to_recordset(%(rows)s::json) AS r(order_id text, item_id text, quantity bigint)
"""


def payment_completed(transaction: Transaction, events: list[Event[PaymentCompleted]]) -> None:
    """Take stock for each order that is new here, all of its lines or none."""
    new = _new_orders(transaction, events)
    if not new:
        return
    demands = [demand(order_id, event.data.lines) for order_id, event in new.items()]
    on_hand = stock.lock(transaction, {item for one in demands for item in one.quantities})
    decisions = decide(on_hand, demands)
    stock.take(transaction, taken(decisions))
    _note(transaction, decisions)
    transaction.emit(_outcome(decision, new[decision.demand.order_id]) for decision in decisions)


def _new_orders(
    transaction: Transaction, events: Sequence[Event[PaymentCompleted]]
) -> dict[str, Event[PaymentCompleted]]:
    first: dict[str, Event[PaymentCompleted]] = {}
    for event in events:
        first.setdefault(event.data.order_id, event)
    new = {row.order_id for row in transaction.run_rows(_NEW, ({"order_id": order_id} for order_id in first))}
    return {order_id: event for order_id, event in first.items() if order_id in new}


def _note(transaction: Transaction, decisions: Iterable[Decision]) -> None:
    reserved: list[Mapping[str, object]] = []
    rejected: list[Mapping[str, object]] = []
    for decision in decisions:
        order_id = decision.demand.order_id
        if not decision.is_taken:
            rejected.append({"order_id": order_id})
            continue
        quantities = decision.demand.quantities.items()
        reserved += [{"order_id": order_id, "item_id": item, "quantity": quantity} for item, quantity in quantities]
    transaction.run_rows(_REJECT, rejected)
    transaction.run_rows(_RESERVE, reserved)


def _outcome(decision: Decision, event: Event[PaymentCompleted]) -> tuple[Topic, Event[Any]]:
    about = {name: getattr(event.data, name) for name in OrderEvent.model_fields}
    trace = tracing.child(event.traceparent)
    if decision.is_taken:
        return INVENTORY_UPDATED, INVENTORY_UPDATED.event(InventoryUpdated(**about), event.subject, trace)
    data = InventoryRejected(**about, shortages=list(decision.shortages))
    return INVENTORY_REJECTED, INVENTORY_REJECTED.event(data, event.subject, trace)
