"""Refunds: the worker that makes them, and what follows from them."""

from dataclasses import replace
from functools import partial
from typing import Any

from oms_chassis.db import Transaction
from oms_chassis.jobs.queue import Done, Job, JobQueue, NewJob, Retry, Settled
from oms_chassis.messaging import outbox
from oms_chassis.telemetry.logs import logger
from oms_contracts.envelope import Event
from oms_contracts.events import PaymentRefunded
from oms_contracts.topics import PAYMENT_REFUNDED, Topic
from oms_gateway import Gateway, Refund, RequestRefused, Retryable, charge_key, refund_key
from oms_payment import repository
from oms_payment.domain import NOT_CHARGED
from oms_payment.jobs.repeating import again
from oms_payment.schemas import RefundOrder

log = logger(__name__)

QUEUE = "refund"


def new_job(order: RefundOrder, traceparent: str | None) -> NewJob:
    """The job that refunds an order."""
    return NewJob(refund_key(order.order_id), order.order_id, order.model_dump(mode="json"), traceparent)


def job_queue(gateway: Gateway) -> JobQueue:
    """The worker that refunds at this gateway."""
    return JobQueue(QUEUE, partial(call, gateway), settle, concurrency=4, max_attempts=None)


def call(gateway: Gateway, job: Job) -> Done | Retry:
    """Make one attempt. The key is the order's, so that a repeated call cannot give the money back twice."""
    try:
        made = _attempt(gateway, RefundOrder.model_validate(job.payload), job.attempts)
    except Retryable as error:
        return again(error)
    if made is None:
        return Done({"refund_id": NOT_CHARGED, "amount": 0})
    return Done({"refund_id": made.id, "amount": made.amount})


def _attempt(gateway: Gateway, order: RefundOrder, attempts: int) -> Refund | None:
    key = refund_key(order.order_id)
    if attempts > 1 and (found := _find(gateway, key)) is not None:
        return found
    if order.charge_id is not None:
        return refund(gateway, key, order.charge_id, order.total)
    # Nothing is known of a charge here. Closing its key makes that certain, or brings it to light.
    charge = gateway.abandon(charge_key(order.order_id))
    return refund(gateway, key, charge.id, charge.amount) if charge.approved else None


def _find(gateway: Gateway, key: str) -> Refund | None:
    """What an earlier attempt gave back, with what somebody had given back by hand before it."""
    found = gateway.find_refund(key)
    if found is None and (found := gateway.find_refund(_remainder(key))) is not None:
        return replace(found, amount=sum(one.amount for one in gateway.refunds_of(found.charge_id)))
    return found


def _remainder(key: str) -> str:
    """The key of another call, for another amount."""
    return f"{key}-remainder"


def refund(gateway: Gateway, key: str, charge_id: str, amount: int) -> Refund:
    """Give the money back, but for what somebody gave back by hand. RequestRefused if the gateway says no for another
    reason."""
    try:
        return gateway.refund(key, charge_id, amount)
    except RequestRefused:
        by_hand = gateway.refunds_of(charge_id)
        if not by_hand:
            raise
    given = sum(one.amount for one in by_hand)
    log.warning("refund_was_made_by_hand", refund_id=by_hand[-1].id, missing=max(0, amount - given))
    if given >= amount:
        return Refund(by_hand[-1].id, charge_id, given)
    rest = gateway.refund(_remainder(key), charge_id, amount - given)
    return replace(rest, amount=amount)


def settle(transaction: Transaction, settled: list[Settled]) -> None:
    """Write the refunds, and publish them."""
    results = {job.subject: (job, result) for job, result in settled}
    locked = repository.lock(transaction, results)
    payments = [after for one in locked if (after := one.refunded(results[one.order_id][1]["refund_id"])) is not None]
    repository.update(transaction, payments)
    outbox.emit(transaction, [_event(*results[payment.order_id]) for payment in payments])


def _event(job: Job, result: Any) -> tuple[Topic, Event[Any]]:
    order = RefundOrder.model_validate(job.payload)
    data = PaymentRefunded(
        order_id=order.order_id, refund_id=result["refund_id"], amount=result["amount"], currency=order.currency
    )
    event = PAYMENT_REFUNDED.event(
        data, order.order_id, job.traceparent, id=f"{order.order_id}:{PAYMENT_REFUNDED.name}"
    )
    return PAYMENT_REFUNDED, event
