"""Handles the events that end an order, or refund a part of it: the customer is notified of each, unless their data was
erased. The services only add the wording."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from prometheus_client import Counter

from oms_chassis.db import Transaction
from oms_chassis.jobs import dead, interventions
from oms_chassis.jobs.queue import enqueue
from oms_chassis.messaging.subscription import Handle, Subscription
from oms_chassis.telemetry.logs import logger
from oms_contracts import topics
from oms_contracts.envelope import Event
from oms_contracts.events import OrderEvent, OrderRefunded
from oms_notifications import repository
from oms_notifications.limits import Limit, by_job, held
from oms_notifications.messages import FOLLOWS, Kind
from oms_notifications.notice import OUTDATED, Notice

log = logger(__name__)

Compose = Callable[[Kind, OrderEvent], Notice]
Hold = Callable[[Transaction, Sequence[Notice]], None]

ENDINGS = (
    (topics.INVENTORY_UPDATED, Kind.CONFIRMED),
    (topics.PAYMENT_FAILED, Kind.DECLINED),
    (topics.INVENTORY_REJECTED, Kind.OUT_OF_STOCK),
    (topics.ORDER_CANCELLED, Kind.CANCELLED),
    (topics.ORDER_REFUNDED, Kind.REFUNDED),
)


def subscriptions(queue: str, compose: Compose, limits: Sequence[Limit], messages: Counter) -> list[Subscription]:
    """Subscriptions that enqueue one notice for each order that ends, and for each refund. Notices over a limit are
    held, and counted in `messages`."""
    hold = partial(_hold, queue, limits, messages)
    return [Subscription(topic, _handler(queue, kind, compose, hold)) for topic, kind in ENDINGS]


def _handler(queue: str, kind: Kind, compose: Compose, hold: Hold) -> Handle:
    def notify(transaction: Transaction, events: list[Event[Any]]) -> None:
        reachable = [event for event in events if not event.data.customer.is_erased]
        found = {_about(event.data): event for event in reversed(reachable)}  # the first of several counts
        orders = {about: event.data.order_id for about, event in found.items()}
        opened = set(repository.open_messages(transaction, kind, orders))
        ended = [found[about] for about in reversed(found) if about in opened]  # in their order of arrival
        if kind in FOLLOWS:  # an earlier notice about the order is outdated: if it is unsent, it need not be sent
            _withdraw(transaction, queue, [event.data.order_id for event in ended])
        notices = [(_notice(compose, kind, event.data), event.traceparent) for event in ended]
        enqueue(transaction, queue, [notice.job(trace) for notice, trace in notices])
        hold(transaction, [notice for notice, _ in notices])

    return notify


def _withdraw(transaction: Transaction, queue: str, jobs: Sequence[str]) -> None:
    """Withdraw the jobs of earlier notices, also dead and postponed ones. A call in progress is not repeated."""
    dead.discard(transaction, queue, jobs)
    interventions.end(transaction, queue, jobs, {OUTDATED: True})


def _about(order: OrderEvent) -> str:
    return order.refund_id if isinstance(order, OrderRefunded) else order.order_id


def _notice(compose: Compose, kind: Kind, order: OrderEvent) -> Notice:
    notice = compose(kind, order)
    return replace(notice, refund_id=order.refund_id) if isinstance(order, OrderRefunded) else notice


def _hold(
    queue: str, limits: Sequence[Limit], messages: Counter, transaction: Transaction, notices: Sequence[Notice]
) -> None:
    """Hold the notices that are over a limit, in the transaction that has enqueued them."""
    reasons = held(transaction, limits, notices)
    if not reasons:
        return
    repository.hold(transaction, reasons)
    dead.shelve(transaction, queue, by_job(reasons, notices))
    transaction.after_commit(partial(_report_held, queue, messages, notices, reasons))


def _report_held(queue: str, messages: Counter, notices: Sequence[Notice], reasons: Mapping[str, str]) -> None:
    for notice in notices:
        if notice.about in reasons:
            log.warning("message_held", queue=queue, order_id=notice.order_id, reason=reasons[notice.about])
            messages.labels(queue, notice.kind, "held").inc()
