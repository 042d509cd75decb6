"""Refunds confirmed orders, in part or in full. What may be refunded is decided while the order is locked.

Payment then moves the money, inventory restocks what was returned, and the order stays CONFIRMED. refund_outcomes.py
handles the outcome.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from oms_chassis.db import Database, Transaction
from oms_chassis.http.identity.callers import Caller
from oms_chassis.http.problems import InvalidRequest
from oms_chassis.laterreleases import known
from oms_chassis.messaging import outbox
from oms_chassis.runtime.threads import Task
from oms_chassis.statements import Row, Rows
from oms_chassis.telemetry import tracing
from oms_contracts.envelope import Event
from oms_contracts.events import OrderRefundRequested
from oms_contracts.ids import new_id
from oms_contracts.topics import ORDER_REFUND_REQUESTED, Topic
from oms_order import commands, contents, fingerprints, refunds, sweeps
from oms_order.commands import Command
from oms_order.domain import Order
from oms_order.idempotency import Answer
from oms_order.metrics import OrderMetrics
from oms_order.problems import NotRefundable, RefundTooLarge
from oms_order.refund_schemas import RefundBody, RefundView
from oms_order.refunds import EarlierRefund, OrderedLine, Purchase, RefundStatus
from oms_order.repository import orders, timelines
from oms_order.repository import refunds as repository
from oms_order.settings import OrderSettings
from oms_order.sweeps import PagedSweep

MOST = 500  # refunds that one transaction publishes again
REFRESH = 10.0  # seconds between two counts


class Refunding:
    """Refunds orders for operators."""

    def __init__(self, settings: OrderSettings, database: Database, metrics: OrderMetrics) -> None:
        self._settings, self._database, self._metrics = settings, database, metrics

    def refund(self, order_id: UUID, body: RefundBody, key: str | None, caller: Caller) -> Answer:
        """Request a refund and return it as JSON, or the answer that the key got before. Raises Problem."""
        body.check()
        fingerprint = fingerprints.of_act("refund", order_id, body, self._settings.fingerprint_keys)
        with self._database.transaction() as transaction:

            def act(order: Order) -> str:
                asked = _request(transaction, order, body, caller, self._settings.order_days)
                transaction.after_commit(self._metrics.refunds.labels(RefundStatus.PENDING).inc)
                return asked

            return commands.execute(transaction, Command(order_id, caller, key, fingerprint), act)


def _request(transaction: Transaction, order: Order, body: RefundBody, caller: Caller, days: float | None) -> str:
    (content,) = orders.contents(transaction, [order.id])
    _check_age(content, days)
    amount = _amount(_purchase(transaction, order, content), body)
    lines = [{"id": line.id, "quantity": line.quantity} for line in body.lines or ()]
    refund = {
        "id": new_id(),
        "order_id": UUID(order.id),
        "amount": amount,
        "lines": lines,
        "restock": body.restock,
        "status": RefundStatus.PENDING,
        "reason": body.reason or None,
        "actor": caller.subject,
    }
    (row,) = repository.insert(transaction, refund)
    step = timelines.of_refund(row.order_id, row.id, RefundStatus.PENDING, row.reason)
    timelines.write(transaction, [{**step, "actor": caller.subject}])
    outbox.emit(transaction, [_requested(row, content)])
    return RefundView.of(row).model_dump_json(exclude_none=True)


def _check_age(content: Row, days: float | None) -> None:
    """Raise NotRefundable if the other services may have deleted what they know of the order."""
    if days is not None and datetime.now(UTC) - content.placed_at > timedelta(days=days):
        raise NotRefundable(detail=f"The order was placed more than {days:g} days ago")


def _purchase(transaction: Transaction, order: Order, content: Row) -> Purchase:
    given = [
        EarlierRefund(row.amount, known(RefundStatus, row.status), {line["id"]: line["quantity"] for line in row.lines})
        for row in repository.of_order(transaction, UUID(order.id))
    ]
    return Purchase(order, content.total, [OrderedLine(**line) for line in content.lines], given)


def _amount(purchase: Purchase, body: RefundBody) -> int:
    """The amount to refund. Raises NotRefundable, InvalidRequest and RefundTooLarge."""
    try:
        purchase.check()
        if body.lines is None:
            return purchase.limit(body.amount or 0)
        return purchase.limit(purchase.price([(line.id, line.quantity) for line in body.lines]))
    except refunds.NotRefundable as error:
        raise NotRefundable(detail=f"The order is {error.order.status}") from None
    except refunds.WrongLines as error:
        raise InvalidRequest(*error.errors.items()) from None
    except refunds.MoreThanRemains as error:
        raise RefundTooLarge(detail=f"What remains is {error.remaining}") from None


def republish_sweep(database: Database, limit: float, days: float | None = None) -> PagedSweep[Row]:
    """Publishes requests again for refunds that have no outcome after `limit` seconds: a message may have been lost,
    and payment repeats the outcome of a settled refund. The same is done for failed refunds, at growing intervals: an
    operator may have retried one, and the event that it succeeded may have been lost. Orders older than `days` are left
    out: the other services have deleted them."""

    def find(after: UUID) -> tuple[Rows, UUID]:
        with database.transaction() as transaction:
            late = repository.unanswered(transaction, limit, days, after, MOST)
        return late, sweeps.resume_after([row.id for row in late], MOST)

    def ask(late: Sequence[Row]) -> None:
        with database.transaction() as transaction:
            found = {row.id: row for row in orders.contents(transaction, [row.order_id for row in late])}
            repository.count_questions(transaction, [row.id for row in late if row.status == RefundStatus.FAILED])
            outbox.emit(transaction, [_requested(row, found[row.order_id]) for row in late])

    return PagedSweep(find, ask, key=lambda row: row.id)


def measure_backlog(database: Database, metrics: OrderMetrics, limit: float) -> None:
    """Count the refunds that have no outcome after `limit` seconds."""
    metrics.refunds_stuck.set(repository.count_unanswered(database, limit))


def tasks(database: Database, metrics: OrderMetrics, stuck: float, days: float | None) -> list[Task]:
    """The periodic tasks: requests to publish again, and the count of refunds without an outcome."""
    return [
        Task("refunds", republish_sweep(database, stuck, days), stuck),
        Task("refund-backlog", lambda: measure_backlog(database, metrics, stuck), REFRESH),
    ]


def _requested(row: Row, content: Row) -> tuple[Topic, Event[Any]]:
    data = OrderRefundRequested(
        order_id=content.id,
        refund_id=str(row.id),
        amount=row.amount,
        currency=content.currency,
        lines=contents.refunded(row, content),
        restock=row.restock,
        failed=row.status == RefundStatus.FAILED or None,
    )
    return ORDER_REFUND_REQUESTED, ORDER_REFUND_REQUESTED.event(data, content.id, tracing.current())
