"""The three events that end an order, each to be told to the customer. The services add only how they word a notice."""

from collections.abc import Callable
from typing import Any

from oms_chassis.db import Transaction
from oms_chassis.jobs.queue import enqueue
from oms_chassis.messaging.consumer import Handle, Subscription
from oms_contracts import topics
from oms_contracts.envelope import Event
from oms_contracts.events import OrderEvent
from oms_notifications.delivery import Notice
from oms_notifications.messages import Kind

Compose = Callable[[Kind, OrderEvent], Notice]

ENDINGS = (
    (topics.INVENTORY_UPDATED, Kind.CONFIRMED),
    (topics.PAYMENT_FAILED, Kind.DECLINED),
    (topics.INVENTORY_REJECTED, Kind.OUT_OF_STOCK),
)


def subscriptions(queue: str, compose: Compose) -> list[Subscription]:
    """Subscriptions that queue one notice for each order that ends."""
    return [Subscription(topic, _handler(queue, kind, compose)) for topic, kind in ENDINGS]


def _handler(queue: str, kind: Kind, compose: Compose) -> Handle:
    def notify(transaction: Transaction, events: list[Event[Any]]) -> None:
        by_order = {event.data.order_id: event for event in reversed(events)}  # of two, the first one counts
        fresh = transaction.run_rows(_CLAIM, ({"order_id": order_id, "kind": kind} for order_id in by_order))
        ended = [by_order[row.order_id] for row in fresh]
        enqueue(transaction, queue, [compose(kind, event.data).job(event.traceparent) for event in ended])

    return notify


# The row outlives the job, so that an order whose customer was told is never told again, whatever comes later.
_CLAIM = """
INSERT INTO message (order_id, kind)
SELECT order_id, kind FROM json_to_recordset(%(rows)s::json) AS r(order_id text, kind text)
ON CONFLICT (order_id) DO NOTHING RETURNING order_id
"""
