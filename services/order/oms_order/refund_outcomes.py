"""Handles the outcomes of refunds that payment publishes: the timeline shows them, and a success notifies the customer.

A refund may have several outcomes: a bank may send the money of a successful one back, and an operator may retry it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from oms_chassis.db import Transaction
from oms_chassis.messaging import outbox
from oms_chassis.statements import Row, Rows
from oms_chassis.telemetry import tracing
from oms_chassis.telemetry.logs import logger
from oms_contracts.envelope import Event
from oms_contracts.events import OrderRefunded, RefundCompleted, RefundFailed
from oms_contracts.parts import ERASED
from oms_contracts.topics import ORDER_REFUNDED, Topic
from oms_order import contents, ids, refunds
from oms_order.metrics import OrderMetrics
from oms_order.refunds import RefundStatus
from oms_order.repository import orders, timelines
from oms_order.repository import refunds as repository

log = logger(__name__)

Outcome = Event[RefundCompleted | RefundFailed]


def settle(metrics: OrderMetrics, status: RefundStatus, transaction: Transaction, events: list[Outcome]) -> None:
    """Write the outcomes of refunds, and notify the customer of each success, once. For a cancelled order, the outcome
    of its whole refund is only written to its timeline."""
    in_turn = sorted(events, key=_number)
    outcomes = {event.data.refund_id: event for event in in_turn if ids.parse(event.data.refund_id)}
    orders.lock(transaction, {event.subject for event in outcomes.values() if ids.parse(event.subject)})
    whole = {id_: event for id_, event in outcomes.items() if id_ == event.subject}
    asked = [row for row in repository.find(transaction, outcomes) if row.order_id == outcomes[row.id].subject]
    for unknown in outcomes.keys() - whole.keys() - {row.id for row in asked}:
        log.warning("outcome_of_unknown_refund", refund_id=unknown, order_id=outcomes[unknown].subject)
    news = [row for row in asked if _is_news(row, outcomes[row.id], status)]
    transaction.after_commit(lambda: metrics.refunds.labels(status).inc(len(news)))
    failures = {row.id: getattr(outcomes[row.id].data, "reason", None) for row in news}
    repository.settle(
        transaction,
        [
            {"id": id_, "status": status, "failure": failures[id_], "outcome": outcomes[id_].data.outcome}
            for id_ in failures
        ],
    )
    steps = [_step_of_order(event, status) for event in _news_of_orders(transaction, whole)]
    steps += [timelines.of_refund(row.order_id, row.id, status, failures[row.id]) for row in news]
    timelines.write(transaction, steps)
    if status is RefundStatus.SUCCEEDED:
        outbox.emit(transaction, _refunded(transaction, news, outcomes))


def _number(event: Outcome) -> int:
    """The number of a refund's outcome. A batch may hold several outcomes of one refund; the last one counts."""
    return event.data.outcome or 0


def _is_news(row: Row, event: Outcome, status: RefundStatus) -> bool:
    return refunds.settled(row.status, status, row.outcome, event.data.outcome)


def _news_of_orders(transaction: Transaction, whole: Mapping[str, Outcome]) -> Iterable[Outcome]:
    """Without outcomes that the order's timeline already has, or has a later one of. An outcome without a number is
    older than any with one."""
    written = timelines.outcomes(transaction, list(whole))
    for order, event in whole.items():
        known = written.get(order, 0)
        if _number(event) > known or _number(event) == known == 0:
            yield event


def _step_of_order(event: Outcome, status: RefundStatus) -> dict[str, object]:
    """A step for the refund of a cancelled order's whole amount: it has no id of its own, but that of the order."""
    reason = getattr(event.data, "reason", None)
    return timelines.of_refund(event.subject, event.subject, status, reason, event.data.outcome)


def _refunded(
    transaction: Transaction, rows: Rows, outcomes: Mapping[str, Outcome]
) -> Iterable[tuple[Topic, Event[Any]]]:
    found = {row.id: row for row in orders.contents(transaction, [row.order_id for row in rows])}
    for row in rows:
        content = found[row.order_id]
        if content.email == ERASED:
            continue  # an operator settled it after its customer was erased: nobody is notified
        about = contents.of_order(content)
        data = OrderRefunded(**about, refund_id=row.id, amount=row.amount, refunded=contents.refunded(row, content))
        trace = tracing.passed_on(outcomes[row.id].traceparent)
        yield ORDER_REFUNDED, ORDER_REFUNDED.event(data, content.id, trace)
