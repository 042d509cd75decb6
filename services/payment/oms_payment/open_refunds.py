"""Resolves refunds of confirmed orders that are PENDING or have FAILED, for operators."""

from oms_chassis.db import Transaction
from oms_chassis.jobs import interventions
from oms_chassis.jobs.queue import enqueue
from oms_chassis.laterreleases import OfLaterRelease
from oms_chassis.messaging import outbox
from oms_chassis.statements import Row
from oms_gateway import requested_refund_key
from oms_payment.domain import RefundState, refusal
from oms_payment.jobs import requested
from oms_payment.problems import (
    NoSuchRefund,
    NothingToClose,
    PaymentOfLaterRelease,
    RefundNotFailed,
    RefundSettled,
    RefundTooLarge,
)
from oms_payment.repository import refunds as repository
from oms_payment.repository.refunds import Books
from oms_payment.schemas import RequestedRefund


def resolve(transaction: Transaction, order_id: str, refund_id: str, how: str, reference: str | None) -> None:
    """Have the gateway make the refund at once, or record that the money was returned in another way. For a refund that
    has succeeded, its success is published again. Raises Problem."""
    books = repository.lock(transaction, [order_id])
    row = books.refunds.get(refund_id)
    if row is None:
        raise NoSuchRefund
    if row.state == RefundState.SUCCEEDED and how == "ask":
        outbox.emit(transaction, [requested.outcome(row, None)])
        return
    _check_open(row, how)
    if row.state == RefundState.FAILED:
        _check(books, row)
    if how == "was-refunded":
        _note(transaction, row, reference)
    elif row.state == RefundState.FAILED:
        _try_again(transaction, books, row)
    else:
        interventions.make_due(transaction, requested.QUEUE, order_id)


def _check_open(row: Row, how: str) -> None:
    """Raise a Problem if the refund's state does not allow this."""
    if row.state == RefundState.SUCCEEDED:
        raise RefundSettled(detail="If the order does not show it, `oms payments resolve` has it published again")
    if row.state not in (RefundState.PENDING, RefundState.FAILED):
        raise PaymentOfLaterRelease
    if how == "close":
        raise NothingToClose
    if how == "again" and row.state != RefundState.FAILED:
        raise RefundNotFailed


def _check(books: Books, row: Row) -> None:
    """Raise RefundTooLarge if less remains of the payment than the failed refund, and PaymentOfLaterRelease if only a
    later release can decide that."""
    try:
        charged = books.charged(row.order_id)
    except OfLaterRelease:
        raise PaymentOfLaterRelease from None
    if refusal(charged, row.amount, row.currency) is not None:
        raise RefundTooLarge


def _note(transaction: Transaction, row: Row, reference: str | None) -> None:
    outcome = {"refund_id": row.refund_id, "state": RefundState.SUCCEEDED, "reference": reference}
    (noted,) = repository.settle(transaction, [outcome], RefundState.FAILED)
    key = requested_refund_key(row.order_id, row.refund_id)
    interventions.end(transaction, requested.QUEUE, [key], {"noted": True})
    outbox.emit(transaction, [requested.outcome(noted, None)])


def _try_again(transaction: Transaction, books: Books, row: Row) -> None:
    repository.settle(transaction, [{"refund_id": row.refund_id, "state": RefundState.PENDING}], RefundState.FAILED)
    charge_id = books.charge_id(row.order_id)
    refund = RequestedRefund(
        order_id=row.order_id,
        refund_id=row.refund_id,
        amount=row.amount,
        currency=row.currency,
        charge_id=charge_id,
        again=True,
    )
    enqueue(transaction, requested.QUEUE, [requested.new_job(refund, None)])
