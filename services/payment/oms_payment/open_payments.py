"""Resolves payments that are PENDING or REFUNDING, for operators."""

from oms_chassis.db import Transaction
from oms_chassis.jobs import interventions
from oms_chassis.jobs.queue import enqueue
from oms_chassis.laterreleases import OfLaterRelease
from oms_chassis.messaging import outbox
from oms_chassis.statements import Row
from oms_gateway import refund_key
from oms_payment import repository
from oms_payment.domain import OPEN, Payment
from oms_payment.jobs import charging, refunding
from oms_payment.problems import ChargeOpen, NothingToClose, PaymentOfLaterRelease, PaymentSettled, RefundNotFailed
from oms_payment.schemas import RefundOrder


def resolve(transaction: Transaction, row: Row, how: str, reference: str | None) -> None:
    """Ask the gateway at once, close the charge, or record that the money was returned in another way. If a refund that
    had failed has succeeded, that is published again: an order that is CANCELLED does not ask for it any more. Raises
    Problem."""
    payment = _lock(transaction, row.order_id)
    if payment.had_failed and how == "ask":
        outbox.emit(transaction, refunding.published_again(payment, row.amount, row.currency, None))
        return
    _check_open(payment)
    if how == "was-refunded":
        _note_refund(transaction, payment, row, reference or "")
    elif how == "close":
        if not interventions.end_patience(transaction, charging.QUEUE, payment.order_id):
            raise NothingToClose
    elif payment.has_failed:
        _try_again(transaction, payment, row)
    elif how == "again":
        raise RefundNotFailed
    else:
        for queue in (charging.QUEUE, refunding.QUEUE):
            interventions.make_due(transaction, queue, payment.order_id)


def _note_refund(transaction: Transaction, payment: Payment, row: Row, reference: str) -> None:
    after = payment.refunded(reference)
    if after is None or (payment.charge_id is None and not payment.has_failed):
        raise ChargeOpen
    repository.update(transaction, [after])
    job_id = refund_key(payment.order_id)
    job = interventions.payload(transaction, refunding.QUEUE, job_id)  # of a failed refund, if it is being retried
    interventions.end(transaction, refunding.QUEUE, [job_id], {"noted": True})
    order = _order(row, again=payment.has_failed or bool(job.get("again")))
    outbox.emit(transaction, refunding.published(order, reference, row.amount, None, after.outcome))


def _try_again(transaction: Transaction, payment: Payment, row: Row) -> None:
    repository.update(transaction, [payment.refunded_again()])
    enqueue(transaction, refunding.QUEUE, [refunding.new_job(_order(row, again=True), None)])


def _order(row: Row, *, again: bool) -> RefundOrder:
    return RefundOrder(
        order_id=row.order_id, total=row.amount, currency=row.currency, charge_id=row.charge_id, again=again
    )


def _lock(transaction: Transaction, order_id: str) -> Payment:
    try:
        (payment,) = repository.lock(transaction, [order_id])
    except OfLaterRelease:
        raise PaymentOfLaterRelease from None
    return payment


def _check_open(payment: Payment) -> None:
    if payment.state not in OPEN:
        raise PaymentSettled(detail=f"This payment is settled: it is {payment.state}.")
