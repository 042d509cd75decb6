"""Handles requests for refunds of confirmed orders: each is decided once, by what remains of the charge.

A worker then moves the money. A repeated request gets the outcome again, once the refund is settled. A refund that the
order service knows to have failed is only answered, and not made: if it is unknown here, as after a restore, another
one may have taken its place.
"""

from collections.abc import Sequence
from typing import Any

from oms_chassis.db import Transaction
from oms_chassis.jobs.queue import NewJob, enqueue
from oms_chassis.messaging import outbox
from oms_chassis.statements import Row
from oms_chassis.telemetry import tracing
from oms_contracts.envelope import Event
from oms_contracts.events import OrderRefundRequested
from oms_payment.domain import RefundState, refusal
from oms_payment.jobs import requested
from oms_payment.repository import refunds as repository
from oms_payment.repository.refunds import Books
from oms_payment.schemas import RequestedRefund

Asked = Event[OrderRefundRequested]


def refund_requested(transaction: Transaction, events: Sequence[Asked]) -> None:
    """Enqueue each refund, unless it exceeds what remains of the payment."""
    asked: dict[str, Asked] = {}
    for event in events:
        asked.setdefault(event.data.refund_id, event)
    books = repository.lock(transaction, {event.data.order_id for event in events})
    new = [event for id_, event in asked.items() if id_ not in books.refunds and not event.data.failed]
    known = [books.refunds[id_] for id_ in asked if id_ in books.refunds]
    decided = [(event, _decide(books, event.data)) for event in new]
    repository.insert(transaction, [(event.data, _state(reason), reason) for event, reason in decided])
    due = [_job(books, event) for event, reason in decided if reason is None]
    enqueue(transaction, requested.QUEUE, due)
    outbox.emit(transaction, [_refused(event, reason) for event, reason in decided if reason is not None])
    settled = [row for row in known if row.state in (RefundState.SUCCEEDED, RefundState.FAILED)]
    outbox.emit(transaction, [requested.outcome(row, _trace(asked, row)) for row in settled])


def _decide(books: Books, refund: OrderRefundRequested) -> str | None:
    """Why a refund is not made; None if it is, and its amount is then taken from what remains."""
    reason = refusal(books.charged(refund.order_id), refund.amount, refund.currency)
    if reason is None:
        books.give(refund.order_id, refund.amount)
    return reason


def _state(reason: str | None) -> RefundState:
    return RefundState.PENDING if reason is None else RefundState.FAILED


def _job(books: Books, event: Asked) -> NewJob:
    asked = event.data
    refund = RequestedRefund(
        order_id=asked.order_id,
        refund_id=asked.refund_id,
        amount=asked.amount,
        currency=asked.currency,
        charge_id=books.charge_id(asked.order_id),
    )
    return requested.new_job(refund, event.traceparent)


def _refused(event: Asked, reason: str) -> Any:
    asked = event.data
    return requested.failed(
        asked.order_id, asked.refund_id, asked.amount, asked.currency, reason, tracing.passed_on(event.traceparent)
    )


def _trace(asked: dict[str, Asked], row: Row) -> str | None:
    return tracing.passed_on(asked[row.refund_id].traceparent)
