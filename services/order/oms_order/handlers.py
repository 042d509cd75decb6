"""Handlers of other services' events. A batch takes two statements, however many orders it touches."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from oms_chassis.db import Transaction
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.telemetry import tracing
from oms_chassis.telemetry.logs import logger
from oms_contracts.envelope import Event
from oms_contracts.events import GATEWAY_FAULTS, ItemUpdated, PaymentFailed
from oms_contracts.topics import (
    CHARGE_DISPUTED,
    INVENTORY_REJECTED,
    INVENTORY_RELEASED,
    INVENTORY_UPDATED,
    ITEM_UPDATED,
    PAYMENT_COMPLETED,
    PAYMENT_FAILED,
    PAYMENT_REFUNDED,
    REFUND_COMPLETED,
    REFUND_FAILED,
)
from oms_order import disputes, ids, refund_outcomes
from oms_order.domain import Fact, Order, Status, Step, contradictory
from oms_order.metrics import OrderMetrics
from oms_order.refunds import RefundStatus
from oms_order.repository import items, orders

log = logger(__name__)

_FACTS = {
    PAYMENT_COMPLETED: Fact.PAID,
    INVENTORY_UPDATED: Fact.STOCK_RESERVED,
    INVENTORY_REJECTED: Fact.STOCK_REJECTED,
    PAYMENT_REFUNDED: Fact.REFUNDED,
    INVENTORY_RELEASED: Fact.STOCK_RELEASED,
}


def subscriptions(metrics: OrderMetrics) -> list[Subscription]:
    """The topics that the Order Service consumes, with their handlers."""
    facts = [Subscription(topic, partial(apply_facts, metrics, fact)) for topic, fact in _FACTS.items()]
    return [
        *facts,
        Subscription(PAYMENT_FAILED, partial(fail_payments, metrics)),
        Subscription(REFUND_COMPLETED, partial(refund_outcomes.settle, metrics, RefundStatus.SUCCEEDED)),
        Subscription(REFUND_FAILED, partial(refund_outcomes.settle, metrics, RefundStatus.FAILED)),
        Subscription(CHARGE_DISPUTED, disputes.note),
        Subscription(ITEM_UPDATED, update_catalogue),
    ]


def apply_facts(metrics: OrderMetrics, fact: Fact, transaction: Transaction, events: list[Event[Any]]) -> None:
    """Apply a fact to the orders that these events are about."""
    traces = {event.subject: event.traceparent for event in events}
    known = orders.lock(transaction, filter(ids.parse, traces))
    changed = [order.apply([fact]) for order in known.values() if fact not in order.facts]
    orders.save(transaction, changed)
    unknown = traces.keys() - known.keys()
    transaction.after_commit(lambda: _report(metrics, fact, changed, unknown, traces))


def fail_payments(metrics: OrderMetrics, transaction: Transaction, events: list[Event[PaymentFailed]]) -> None:
    """Cancel the orders whose card was declined, and, for another reason, those for which the gateway itself failed."""
    faults = [event for event in events if event.data.reason in GATEWAY_FAULTS]
    declines = [event for event in events if event.data.reason not in GATEWAY_FAULTS]
    for fact, found in ((Fact.DECLINED, declines), (Fact.NOT_CHARGED, faults)):
        if found:
            apply_facts(metrics, fact, transaction, found)


def update_catalogue(transaction: Transaction, events: list[Event[ItemUpdated]]) -> None:
    """Keep the newest version of each item."""
    items.update(transaction, (event.data for event in events))


def _report(
    metrics: OrderMetrics,
    fact: Fact,
    changed: Sequence[tuple[Order, list[Step]]],
    unknown: Iterable[str],
    traces: Mapping[str, str | None],
) -> None:
    for order_id in unknown:
        metrics.unknown.labels(fact).inc()
        log.warning("fact_about_unknown_order", fact=fact, order_id=order_id, **tracing.field(traces[order_id]))
    metrics.count(changed)
    for order, _ in changed:
        about = {"order_id": order.id, "status": order.status, **tracing.field(traces[order.id])}
        if not isinstance(order.status, Status):
            log.warning("order_waits_for_later_release", fact=fact, **about)
        if contradictory(order.facts):
            metrics.contradictions.labels(fact).inc()
            log.error("fact_contradicts_order", fact=fact, **about)
