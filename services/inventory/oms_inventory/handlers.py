"""Allocates stock to paid orders. A batch takes five statements, however many orders and items it touches."""

from collections.abc import Iterable, Sequence
from typing import Any

from oms_chassis.db import Transaction
from oms_chassis.messaging import outbox
from oms_chassis.telemetry import tracing
from oms_contracts.envelope import Event
from oms_contracts.events import (
    InventoryRejected,
    InventoryReleased,
    InventoryUpdated,
    OrderCancelled,
    OrderEvent,
    PaymentCompleted,
)
from oms_contracts.parts import Released
from oms_contracts.topics import INVENTORY_REJECTED, INVENTORY_RELEASED, INVENTORY_UPDATED, Topic
from oms_inventory import repository, stock
from oms_inventory.domain import Decision, allocated, decide, demand
from oms_inventory.repository import releases
from oms_inventory.repository.journal import Movement


def payment_completed(transaction: Transaction, events: list[Event[PaymentCompleted]]) -> None:
    """Allocate stock to each new order: for all of its lines, or none."""
    new = _new_orders(transaction, events)
    if not new:
        return
    demands = [demand(order_id, event.data.lines) for order_id, event in new.items()]
    on_hand = repository.lock_stock(transaction, {item for one in demands for item in one.quantities})
    decisions = decide(on_hand, demands)
    stock.take(transaction, allocated(decisions))
    _record(transaction, decisions)
    outbox.emit(transaction, (_outcome(decision, new[decision.demand.order_id]) for decision in decisions))


def order_cancelled(transaction: Transaction, events: list[Event[OrderCancelled]]) -> None:
    """Release what each order holds, once. An order that is not paid yet never gets any stock."""
    cancelled = {event.data.order_id: event for event in events}
    releases.cancel(transaction, cancelled)
    held = releases.held(transaction, cancelled)
    releases.let_go(transaction, cancelled)
    stock.put_back(transaction, [_returned(cancelled[order_id], item, quantity) for order_id, item, quantity in held])
    released: dict[str, list[Released]] = {order_id: [] for order_id in cancelled}
    for order_id, item, quantity in held:
        released[order_id].append(Released(item_id=item, quantity=quantity))
    outbox.emit(transaction, (_release(event, released[order_id]) for order_id, event in cancelled.items()))


def _returned(event: Event[OrderCancelled], item: str, quantity: int) -> Movement:
    return Movement(item, "released", quantity, "order", event.data.reason, event.data.order_id)


def _release(event: Event[OrderCancelled], released: list[Released]) -> tuple[Topic, Event[Any]]:
    data = InventoryReleased(order_id=event.data.order_id, released=released)
    return INVENTORY_RELEASED, INVENTORY_RELEASED.event(data, event.subject, tracing.passed_on(event.traceparent))


def _new_orders(
    transaction: Transaction, events: Sequence[Event[PaymentCompleted]]
) -> dict[str, Event[PaymentCompleted]]:
    first: dict[str, Event[PaymentCompleted]] = {}
    for event in events:
        first.setdefault(event.data.order_id, event)
    new = repository.open_allocations(transaction, first)
    return {order_id: event for order_id, event in first.items() if order_id in new}


def _record(transaction: Transaction, decisions: Iterable[Decision]) -> None:
    reserved: list[tuple[str, str, int]] = []
    rejected: list[str] = []
    for decision in decisions:
        order_id = decision.demand.order_id
        if decision.is_allocated:
            reserved += [(order_id, item, quantity) for item, quantity in decision.demand.quantities.items()]
        else:
            rejected.append(order_id)
    repository.reject(transaction, rejected)
    repository.reserve(transaction, reserved)


def _outcome(decision: Decision, event: Event[PaymentCompleted]) -> tuple[Topic, Event[Any]]:
    about = {name: getattr(event.data, name) for name in OrderEvent.model_fields}
    trace = tracing.passed_on(event.traceparent)
    if decision.is_allocated:
        return INVENTORY_UPDATED, INVENTORY_UPDATED.event(InventoryUpdated(**about), event.subject, trace)
    data = InventoryRejected(**about, shortages=list(decision.shortages))
    return INVENTORY_REJECTED, INVENTORY_REJECTED.event(data, event.subject, trace)
