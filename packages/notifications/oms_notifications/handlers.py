"""The events that end an order: the customer is notified of each. The services add only the wording."""

from collections.abc import Callable
from typing import Any

from oms_chassis.db import Transaction
from oms_chassis.jobs.queue import enqueue, withdraw
from oms_chassis.messaging.consumer import Handle, Subscription
from oms_contracts import topics
from oms_contracts.envelope import Event
from oms_contracts.events import OrderEvent
from oms_notifications import repository
from oms_notifications.messages import FOLLOWS, Kind
from oms_notifications.notice import Notice

Compose = Callable[[Kind, OrderEvent], Notice]

ENDINGS = (
    (topics.INVENTORY_UPDATED, Kind.CONFIRMED),
    (topics.PAYMENT_FAILED, Kind.DECLINED),
    (topics.INVENTORY_REJECTED, Kind.OUT_OF_STOCK),
    (topics.ORDER_CANCELLED, Kind.CANCELLED),
)


def subscriptions(queue: str, compose: Compose) -> list[Subscription]:
    """Subscriptions that queue one notice for each order that ends."""
    return [Subscription(topic, _handler(queue, kind, compose)) for topic, kind in ENDINGS]


def _handler(queue: str, kind: Kind, compose: Compose) -> Handle:
    def notify(transaction: Transaction, events: list[Event[Any]]) -> None:
        by_order = {event.data.order_id: event for event in reversed(events)}  # of two, the first one counts
        ended = [by_order[order_id] for order_id in repository.open_messages(transaction, kind, by_order)]
        if kind in FOLLOWS:  # what the order was sent before is out of date: if it is not sent yet, it need not be
            withdraw(transaction, queue, (event.data.order_id for event in ended))
        enqueue(transaction, queue, [compose(kind, event.data).job(event.traceparent) for event in ended])

    return notify
