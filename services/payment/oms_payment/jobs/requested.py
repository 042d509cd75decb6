"""Refunds of confirmed orders: the worker that makes them, and what is published of their outcomes."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlalchemy import Row

from oms_chassis.db import Transaction
from oms_chassis.jobs.queue import Done, Job, JobQueue, NewJob, Paused, Retry, Settled, Waiting
from oms_chassis.messaging import outbox
from oms_chassis.telemetry.logs import logger
from oms_contracts.envelope import Event
from oms_contracts.events import GATEWAY_FAILED, GATEWAY_REFUSED, RefundCompleted, RefundFailed
from oms_contracts.topics import REFUND_COMPLETED, REFUND_FAILED, Topic
from oms_gateway import Gateway, RefundStatus, RequestRefused, Retryable, requested_refund_key
from oms_payment.domain import RefundState
from oms_payment.jobs.repeating import again, unused, wait
from oms_payment.repository import refunds as repository
from oms_payment.schemas import RequestedRefund

log = logger(__name__)

QUEUE = "requested-refund"


def new_job(refund: RequestedRefund, traceparent: str | None) -> NewJob:
    """The job that makes a refund."""
    key = requested_refund_key(refund.order_id, refund.refund_id)
    return NewJob(key, refund.order_id, refund.model_dump(mode="json", exclude_unset=True), traceparent)


def job_queue(gateway: Gateway) -> JobQueue:
    """The worker that makes these refunds at this gateway."""
    return JobQueue(QUEUE, partial(call, gateway), settle, concurrency=4, max_attempts=None)


def call(gateway: Gateway, job: Job) -> Done | Retry | Paused | Waiting:
    """Make one attempt. The key is the refund's, so that a repeated call cannot give the money back twice. What the
    gateway refuses has failed, and so has what it took and came to nothing: an operator sees to it."""
    refund = RequestedRefund.model_validate(job.payload)
    try:
        key = refund.key or (unused(gateway, job.id) if refund.again else job.id)
        found = gateway.find_refund(key) if job.attempts > 1 else None
        made = found or gateway.refund(key, refund.charge_id, refund.amount)
    except Retryable as error:
        return again(error)
    except RequestRefused as error:
        log.error("refund_refused", order_id=refund.order_id, refund_id=refund.refund_id, error=type(error).__name__)
        return Done({"reason": GATEWAY_REFUSED})
    if (made.charge_id, made.amount) != (refund.charge_id, refund.amount):
        log.error("refund_mismatch", order_id=refund.order_id, refund_id=refund.refund_id)
        return Done({"reason": GATEWAY_REFUSED})
    if made.status is RefundStatus.PENDING:
        return wait(job, key)
    if made.status is RefundStatus.FAILED:
        log.error("refund_failed", order_id=refund.order_id, refund_id=refund.refund_id)
        return Done({"reason": GATEWAY_FAILED})
    return Done({"reference": made.id})


def settle(transaction: Transaction, settled: list[Settled]) -> None:
    """Write the outcomes, and publish them."""
    job_of = {job.payload["refundId"]: job for job, _ in settled}
    repository.lock(transaction, {job.subject for job in job_of.values()})
    rows = repository.settle(transaction, [_row(job, result) for job, result in settled])
    outbox.emit(transaction, [outcome(row, job_of[row.refund_id].traceparent) for row in rows])


def outcome(row: Row[Any], traceparent: str | None) -> tuple[Topic, Event[Any]]:
    """What is published of a refund that has succeeded or failed."""
    if row.state == RefundState.FAILED:
        return failed(row.order_id, row.refund_id, row.amount, row.currency, row.reason, traceparent)
    data = RefundCompleted(
        order_id=row.order_id,
        refund_id=row.refund_id,
        amount=row.amount,
        currency=row.currency,
        reference=row.reference,
    )
    return REFUND_COMPLETED, REFUND_COMPLETED.event(data, row.order_id, traceparent)


def failed(
    order_id: str, refund_id: str, amount: int, currency: str, reason: str, traceparent: str | None
) -> tuple[Topic, Event[Any]]:
    """What is published of a refund that has failed."""
    data = RefundFailed(order_id=order_id, refund_id=refund_id, amount=amount, currency=currency, reason=reason)
    return REFUND_FAILED, REFUND_FAILED.event(data, order_id, traceparent)


def _row(job: Job, result: Mapping[str, Any]) -> dict[str, object]:
    state = RefundState.FAILED if "reason" in result else RefundState.SUCCEEDED
    return {"refund_id": job.payload["refundId"], "state": state, **result}
