"""Cancels orders: at their customers' request, and when they have waited for too long.

The decision is made while the order is locked. Payment and inventory then give back what they hold of the order,
whatever has reached them and in which sequence; the order is CANCELLED when both have confirmed that.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from oms_chassis.db import Database, Transaction
from oms_chassis.http.identity.callers import Caller
from oms_chassis.messaging import outbox
from oms_chassis.runtime.threads import Task
from oms_chassis.statements import Row
from oms_chassis.telemetry import tracing
from oms_contracts.envelope import Event
from oms_contracts.events import OrderCancelled
from oms_contracts.topics import ORDER_CANCELLED, Topic
from oms_order import commands, contents, domain, fingerprints, sweeps
from oms_order.commands import Command
from oms_order.domain import Order, Step, TooLate
from oms_order.idempotency import Answer
from oms_order.metrics import OrderMetrics
from oms_order.problems import TooLateToCancel
from oms_order.repository import cancelling as repository
from oms_order.repository import orders, refunds
from oms_order.schemas import CancelBody, OrderDetail
from oms_order.settings import OrderSettings
from oms_order.sweeps import PagedSweep

MOST = 500  # orders that one transaction times out or publishes again
KEPT_UP = 60.0  # seconds without unread events before orders may time out: their answers may be among them
REFRESH = 10.0  # seconds between two sweeps for orders to time out
Changed = Sequence[tuple[Order, Sequence[Step]]]


class Cancelling:
    """Cancels orders for their customers."""

    def __init__(self, settings: OrderSettings, database: Database, metrics: OrderMetrics) -> None:
        self._settings, self._database, self._metrics = settings, database, metrics

    def cancel(self, order_id: UUID, body: CancelBody, key: str | None, caller: Caller) -> Answer:
        """Cancel the caller's order and return it as JSON, or the answer that the key got before. Raises Problem."""
        fingerprint = fingerprints.of_act("cancel", order_id, body, self._settings.fingerprint_keys)
        with self._database.transaction() as transaction:

            def act(order: Order) -> str:
                self._cancel(transaction, order, body.reason or None, caller.subject)
                return _shown(transaction, order_id)

            return commands.execute(transaction, Command(order_id, caller, key, fingerprint), act)

    def _cancel(self, transaction: Transaction, order: Order, note: str | None, actor: str | None) -> None:
        order_id = UUID(order.id)
        confirmed_for = repository.age(transaction, order_id)
        # An order with refunds cannot be cancelled: the cancellation would refund the whole amount again.
        window = 0.0 if refunds.exist(transaction, order_id) else self._settings.cancel_seconds
        try:
            after, steps = domain.cancel(order, confirmed_for, window)
        except TooLate as late:
            raise _refusal(late) from None
        if not steps:
            return
        write(transaction, [(after, steps)], self._metrics)
        if note or actor:
            repository.write_note(transaction, order_id, steps[0].position, note, actor)


def time_out_sweep(database: Database, metrics: OrderMetrics, limit: float) -> PagedSweep[str]:
    """Cancels orders that have waited for payment or stock for more than `limit` seconds."""

    def find(after: UUID) -> tuple[Sequence[str], UUID]:
        with database.transaction() as transaction:
            late = repository.waiting(transaction, limit, after, MOST)
        return late, sweeps.resume_after(late, MOST)

    return PagedSweep(find, partial(_give_up, database, metrics), key=str)


def _give_up(database: Database, metrics: OrderMetrics, ids: Sequence[str]) -> None:
    with database.transaction() as transaction:
        ended = [domain.time_out(order) for order in orders.lock_free(transaction, ids)]
        write(transaction, [(order, steps) for order, steps in ended if steps], metrics)


def republish_sweep(database: Database, limit: float, days: float | None = None) -> PagedSweep[str]:
    """Publishes cancellations again if money or stock has not been given back after `limit` seconds: a message may
    have been lost, and a service that has nothing left to do repeats its answer. Orders older than `days` are left
    out: the other services have deleted them, and the customer would be notified a second time."""

    def find(after: UUID) -> tuple[Sequence[str], UUID]:
        with database.transaction() as transaction:
            ids = repository.unanswered(transaction, limit, days, after, MOST)
        return ids, sweeps.resume_after(ids, MOST)

    def ask(ids: Sequence[str]) -> None:
        with database.transaction() as transaction:
            _publish(transaction, orders.lock_free(transaction, ids), again=True)

    return PagedSweep(find, ask, key=str)


def tasks(database: Database, metrics: OrderMetrics, deadline: float, stuck: float, days: float | None) -> list[Task]:
    """The periodic sweeps: orders to time out, and cancellations to publish again."""
    kept_up = min(KEPT_UP, deadline / 2)
    return [
        Task("deadlines", time_out_sweep(database, metrics, deadline), min(REFRESH, deadline / 2), kept_up=kept_up),
        Task("cancellations", republish_sweep(database, stuck, days), stuck),
    ]


def write(transaction: Transaction, changed: Changed, metrics: OrderMetrics) -> None:
    """Write orders that are being cancelled, and publish their cancellations."""
    if not changed:
        return
    orders.save(transaction, changed)
    _publish(transaction, (order for order, _ in changed), again=False)
    transaction.after_commit(lambda: metrics.count(changed))


def _publish(transaction: Transaction, cancelled: Iterable[Order], *, again: bool) -> None:
    reasons = {order.id: str(order.reason) for order in cancelled}
    rows = orders.contents(transaction, list(reasons))
    outbox.emit(transaction, (_event(row, reasons[row.id], again) for row in rows))


def _shown(transaction: Transaction, order_id: UUID) -> str:
    (row,) = orders.detail(transaction, order_id)
    return OrderDetail.of(row).model_dump_json(exclude_none=True)


def _refusal(late: TooLate) -> TooLateToCancel:
    reason = f" ({late.reason})" if late.reason else ""
    return TooLateToCancel(detail=f"The order is {late.status}{reason}")


def _event(row: Row, reason: str, again: bool) -> tuple[Topic, Event[Any]]:
    data = OrderCancelled(**contents.of_order(row), reason=reason, again=again or None)
    return ORDER_CANCELLED, ORDER_CANCELLED.event(data, row.id, tracing.current())
