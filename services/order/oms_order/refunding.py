"""Refunding confirmed orders, in part or in full: the order's row decides what may still be, while it is locked.

Payment then moves the money, inventory puts back what has come back, and the customer is notified once the money is on
its way. The order stays CONFIRMED.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from oms_chassis.db import Database, Rows, Transaction
from oms_chassis.http.identity.callers import Caller
from oms_chassis.http.problems import InvalidRequest
from oms_chassis.laterreleases import known
from oms_chassis.messaging import outbox
from oms_chassis.runtime.threads import Task
from oms_chassis.telemetry import tracing
from oms_chassis.telemetry.logs import logger
from oms_contracts.envelope import Event
from oms_contracts.events import OrderRefunded, OrderRefundRequested, RefundCompleted, RefundFailed
from oms_contracts.parts import RefundedLine
from oms_contracts.topics import ORDER_REFUND_REQUESTED, ORDER_REFUNDED, Topic
from oms_order import acting, contents, fingerprints, ids, refunds
from oms_order.acting import Asked
from oms_order.domain import Order
from oms_order.metrics import OrderMetrics
from oms_order.problems import NotRefundable, RefundTooLarge
from oms_order.refund_schemas import RefundBody, RefundView
from oms_order.refunds import Bought, Given, Purchase, RefundStatus
from oms_order.repository import orders, timelines
from oms_order.repository import refunds as repository
from oms_order.settings import OrderSettings
from oms_order.tables import ERASED

log = logger(__name__)

MOST = 500  # refunds that one transaction asks for again
REFRESH = 10.0  # seconds between two counts
Outcome = Event[RefundCompleted | RefundFailed]


class Refunding:
    """Refunds orders for operators."""

    def __init__(self, settings: OrderSettings, database: Database, metrics: OrderMetrics) -> None:
        self._settings, self._database, self._metrics = settings, database, metrics

    def refund(self, order_id: UUID, body: RefundBody, key: str | None, caller: Caller) -> str:
        """Ask for a refund; it as JSON, or the answer that the key got before. Raises Problem."""
        body.check()
        content = {"order": str(order_id), **body.model_dump(exclude_unset=True)}
        fingerprint = fingerprints.of_act("refund", content, self._settings.fingerprint_keys)
        with self._database.transaction() as transaction:

            def act(order: Order) -> str:
                asked = _request(transaction, order, body, caller, self._settings.order_days)
                self._metrics.refunds.labels(RefundStatus.PENDING).inc()
                return asked

            return acting.answer(transaction, Asked(order_id, caller, key, fingerprint), act)


def _request(transaction: Transaction, order: Order, body: RefundBody, caller: Caller, days: float | None) -> str:
    (content,) = orders.contents(transaction, [order.id])
    _check_age(content, days)
    amount = _amount(_purchase(transaction, order, content), body)
    lines = [{"id": line.id, "quantity": line.quantity} for line in body.lines or ()]
    refund = {
        "id": ids.new_id(),
        "order_id": UUID(order.id),
        "amount": amount,
        "lines": lines,
        "restock": body.restock,
        "status": RefundStatus.PENDING,
        "reason": body.reason or None,
        "actor": caller.subject,
    }
    (row,) = repository.insert(transaction, refund)
    step = _step(row.order_id, row.id, RefundStatus.PENDING, row.reason)
    timelines.write(transaction, [{**step, "actor": caller.subject}])
    outbox.emit(transaction, [_requested(row, content)])
    return RefundView.of(row).model_dump_json(exclude_none=True)


def _check_age(content: Row[Any], days: float | None) -> None:
    """Raise NotRefundable if the other services may have deleted what they know of the order."""
    if days is not None and datetime.now(UTC) - content.placed_at > timedelta(days=days):
        raise NotRefundable(detail=f"The order was placed more than {days:g} days ago")


def _purchase(transaction: Transaction, order: Order, content: Row[Any]) -> Purchase:
    given = [
        Given(row.amount, known(RefundStatus, row.status), {line["id"]: line["quantity"] for line in row.lines})
        for row in repository.of_order(transaction, UUID(order.id))
    ]
    return Purchase(order, content.total, [Bought(**line) for line in content.lines], given)


def _amount(purchase: Purchase, body: RefundBody) -> int:
    """What is to be refunded. Raises NotRefundable, InvalidRequest and RefundTooLarge."""
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


def settle(metrics: OrderMetrics, status: RefundStatus, transaction: Transaction, events: list[Outcome]) -> None:
    """Write what became of refunds; of each that has succeeded, the customer is notified, once. That the money of a
    cancelled order did not go back is shown by its timeline."""
    outcomes = {event.data.refund_id: event for event in events if ids.parse(event.data.refund_id)}
    orders.lock(transaction, {event.subject for event in outcomes.values() if ids.parse(event.subject)})
    whole = {id_: event for id_, event in outcomes.items() if id_ == event.subject}
    timelines.write(transaction, [_step_of_order(event, status) for event in whole.values()])
    asked = [row for row in repository.find(transaction, outcomes) if row.order_id == outcomes[row.id].subject]
    for unknown in outcomes.keys() - whole.keys() - {row.id for row in asked}:
        log.warning("outcome_of_unknown_refund", refund_id=unknown, order_id=outcomes[unknown].subject)
    news = [row for row in asked if refunds.settled(row.status, status)]
    metrics.refunds.labels(status).inc(len(news))
    failures = {row.id: getattr(outcomes[row.id].data, "reason", None) for row in news}
    repository.settle(transaction, [{"id": id_, "status": status, "failure": failures[id_]} for id_ in failures])
    timelines.write(transaction, [_step(row.order_id, row.id, status, failures[row.id]) for row in news])
    if status is RefundStatus.SUCCEEDED:
        outbox.emit(transaction, _refunded(transaction, news, outcomes))


def ask_again(database: Database, limit: float, days: float | None = None) -> None:
    """Publish again which refunds are asked for that have no outcome after `limit` seconds: a message may be lost, and
    whoever has settled one answers again. After so many `days` of an order, nobody else knows of it."""
    with database.transaction() as transaction:
        late = repository.unanswered(transaction, limit, days, MOST)
        found = {row.id: row for row in orders.contents(transaction, [row.order_id for row in late])}
        outbox.emit(transaction, [_requested(row, found[row.order_id]) for row in late])


def measure_backlog(database: Database, metrics: OrderMetrics, limit: float) -> None:
    """Count the refunds that have no outcome after `limit` seconds."""
    metrics.refunds_stuck.set(repository.count_unanswered(database, limit))


def tasks(database: Database, metrics: OrderMetrics, stuck: float, days: float | None) -> list[Task]:
    """Asks again for outcomes that do not come, and counts them, every so often."""
    return [
        Task("refunds", lambda: ask_again(database, stuck, days), stuck),
        Task("refund-backlog", lambda: measure_backlog(database, metrics, stuck), REFRESH),
    ]


def _step(order_id: str, refund_id: str, status: RefundStatus, note: str | None) -> dict[str, object]:
    return {"order_id": order_id, "refund_id": refund_id, "refund_status": status, "note": note}


def _step_of_order(event: Outcome, status: RefundStatus) -> dict[str, object]:
    """All the money of an order that is being cancelled was to go back: nobody asked for that by a refund's id."""
    return _step(event.subject, event.subject, status, getattr(event.data, "reason", None))


def _requested(row: Row[Any], content: Row[Any]) -> tuple[Topic, Event[Any]]:
    data = OrderRefundRequested(
        order_id=content.id,
        refund_id=str(row.id),
        amount=row.amount,
        currency=content.currency,
        lines=_lines(row, content),
        restock=row.restock,
    )
    return ORDER_REFUND_REQUESTED, ORDER_REFUND_REQUESTED.event(data, content.id, tracing.current())


def _refunded(
    transaction: Transaction, rows: Rows, outcomes: Mapping[str, Outcome]
) -> Iterable[tuple[Topic, Event[Any]]]:
    found = {row.id: row for row in orders.contents(transaction, [row.order_id for row in rows])}
    for row in rows:
        content = found[row.order_id]
        if content.email == ERASED:
            continue  # an operator settled it after its customer was erased: nobody is notified
        about = contents.of_order(content)
        data = OrderRefunded(**about, refund_id=row.id, amount=row.amount, refunded=_lines(row, content))
        trace = tracing.passed_on(outcomes[row.id].traceparent)
        yield ORDER_REFUNDED, ORDER_REFUNDED.event(data, content.id, trace)


def _lines(row: Row[Any], content: Row[Any]) -> list[RefundedLine]:
    names = {line["item_id"]: line["name"] for line in content.lines}
    return [RefundedLine(item_id=line["id"], name=names[line["id"]], quantity=line["quantity"]) for line in row.lines]
