"""What the Order Service makes of other services' events. A batch is two statements, however many orders it touches."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from oms_chassis.db import Rows, Transaction
from oms_chassis.messaging.consumer import Subscription
from oms_chassis.telemetry.logs import logger
from oms_contracts.envelope import Event
from oms_contracts.events import ItemUpdated
from oms_contracts.topics import (
    INVENTORY_REJECTED,
    INVENTORY_UPDATED,
    ITEM_UPDATED,
    PAYMENT_COMPLETED,
    PAYMENT_FAILED,
    PAYMENT_REFUNDED,
)
from oms_order import ids
from oms_order.domain import Fact, Order, Reason, Status, Step, contradictory
from oms_order.metrics import OrderMetrics

log = logger(__name__)

_FACTS = {
    PAYMENT_COMPLETED: Fact.PAID,
    PAYMENT_FAILED: Fact.DECLINED,
    INVENTORY_UPDATED: Fact.STOCK_TAKEN,
    INVENTORY_REJECTED: Fact.STOCK_REJECTED,
    PAYMENT_REFUNDED: Fact.REFUNDED,
}
# Rows are locked in the order of their ids, so that two replicas with the same orders never wait for each other.
_LOCK = """
SELECT id::text, status, reason, facts, version FROM orders WHERE id = ANY(%(ids)s::uuid[]) ORDER BY id FOR UPDATE
"""
_SAVE = """
WITH changed AS (
    SELECT * FROM json_to_recordset(%(rows)s::json)
        AS r(id uuid, status text, reason text, facts text[], version int, steps json)
), updated AS (
    UPDATE orders SET status = c.status, reason = c.reason, facts = c.facts, version = c.version,
        updated_at = clock_timestamp()
    FROM changed c WHERE orders.id = c.id
)
INSERT INTO timeline (order_id, position, status, reason, at)
SELECT c.id, s.position, s.status, s.reason, clock_timestamp()
FROM changed c, json_to_recordset(c.steps) AS s(position int, status text, reason text)
"""
_LEARN = """
INSERT INTO item (id, name, unit_price, currency, available, version)
SELECT DISTINCT ON (id) * FROM json_to_recordset(%(rows)s::json)
    AS r(id text, name text, unit_price bigint, currency text, available boolean, version bigint)
ORDER BY id, version DESC
ON CONFLICT (id) DO UPDATE SET name = excluded.name, unit_price = excluded.unit_price, currency = excluded.currency,
    available = excluded.available, version = excluded.version, seen_at = clock_timestamp()
WHERE item.version < excluded.version
"""


def subscriptions(metrics: OrderMetrics) -> list[Subscription]:
    """All that the Order Service listens to."""
    facts = [Subscription(topic, partial(hear, metrics, fact)) for topic, fact in _FACTS.items()]
    return [*facts, Subscription(ITEM_UPDATED, learn)]


def hear(metrics: OrderMetrics, fact: Fact, transaction: Transaction, events: list[Event[Any]]) -> None:
    """Tell the orders that these events are about what happened to them."""
    subjects = {event.subject for event in events if ids.parse(event.subject)}
    orders = _load(transaction.run(_LOCK, ids=sorted(subjects)))
    for stray in {event.subject for event in events} - orders.keys():
        metrics.strays.labels(fact).inc()
        log.warning("fact_about_unknown_order", fact=fact, order_id=stray)
    heard = [order.hear([fact]) for order in orders.values() if fact not in order.facts]
    transaction.run_rows(_SAVE, (_row(order, steps) for order, steps in heard))
    _report(metrics, fact, heard)


def learn(transaction: Transaction, events: list[Event[ItemUpdated]]) -> None:
    """Keep the newest version of each item."""
    transaction.run_rows(_LEARN, (_item(event.data) for event in events))


def _load(rows: Rows) -> dict[str, Order]:
    return {row.id: _order(row) for row in rows}


def _order(row: Any) -> Order:
    reason = Reason(row.reason) if row.reason else None
    return Order(row.id, Status(row.status), reason, frozenset(map(Fact, row.facts)), row.version)


def _row(order: Order, steps: Iterable[Step]) -> Mapping[str, object]:
    return {
        "id": order.id,
        "status": order.status,
        "reason": order.reason,
        "facts": sorted(order.facts),
        "version": order.version,
        "steps": [{"position": s.position, "status": s.status, "reason": s.reason} for s in steps],
    }


def _item(item: ItemUpdated) -> Mapping[str, object]:
    return {
        "id": item.item_id,
        "name": item.name,
        "unit_price": item.unit_price,
        "currency": item.currency,
        "available": item.available,
        "version": item.version,
    }


def _report(metrics: OrderMetrics, fact: Fact, heard: Iterable[tuple[Order, list[Step]]]) -> None:
    reached: dict[Status, int] = defaultdict(int)
    for order, steps in heard:
        for step in steps:
            reached[step.status] += 1
        if contradictory(order.facts):
            metrics.contradictions.labels(fact).inc()
            log.error("fact_contradicts_order", fact=fact, order_id=order.id, status=order.status)
    for status, count in reached.items():
        metrics.orders.labels(status).inc(count)
