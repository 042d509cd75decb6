"""Requested refunds of confirmed orders: the calls to the gateway, and the events about their outcomes."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter

from oms_chassis.db import Transaction
from oms_chassis.jobs.queue import Done, Job, JobQueue, NewJob, Paused, Retry, Settled, Waiting
from oms_chassis.messaging import outbox
from oms_chassis.statements import Row
from oms_chassis.telemetry.logs import logger
from oms_contracts.envelope import Event
from oms_contracts.events import FAILED_TOO_OFTEN, GATEWAY_FAILED, GATEWAY_REFUSED, RefundCompleted, RefundFailed
from oms_contracts.topics import REFUND_COMPLETED, REFUND_FAILED, Topic
from oms_gateway import Gateway, RefundStatus, RequestRefused, Retryable, requested_refund_key
from oms_payment.domain import RefundState
from oms_payment.jobs.repeating import again, unused, wait
from oms_payment.repository import refunds as repository
from oms_payment.schemas import RequestedRefund

log = logger(__name__)

QUEUE = "requested-refund"
NOTED = "noted"  # a reason: no refund was made, because the money was returned in another way


def new_job(refund: RequestedRefund, traceparent: str | None) -> NewJob:
    """The job that makes a refund."""
    key = requested_refund_key(refund.order_id, refund.refund_id)
    return NewJob(key, refund.order_id, refund.model_dump(mode="json", exclude_unset=True), traceparent)


def twice(registry: CollectorRegistry) -> Counter:
    """The counter of refunds that were paid twice, of confirmed and of cancelled orders."""
    return Counter(
        "oms_payment_refunded_twice_total",
        "Refunds that the gateway made although an operator had noted that the money went back in another way",
        registry=registry,
    )


def job_queue(gateway: Gateway, on_twice: Callable[[], object] = lambda: None) -> JobQueue:
    """The queue of requested refunds at this gateway. `on_twice` is called for one that had been returned in another
    way as well."""
    return JobQueue(QUEUE, partial(call, gateway), partial(settle, on_twice), concurrency=4, max_attempts=None)


def call(gateway: Gateway, job: Job) -> Done | Retry | Paused | Waiting:
    """Make one attempt. The key is derived from the refund, so that a repeated call cannot refund twice. A refund that
    the gateway refuses has failed, as has one that it accepted and that failed later: an operator has to act."""
    refund = RequestedRefund.model_validate(job.payload)
    try:
        key = refund.key or (unused(gateway, job.id) if refund.again else job.id)
        if key is None:
            log.error("refund_failed_too_often", order_id=refund.order_id, refund_id=refund.refund_id)
            return Done({"reason": FAILED_TOO_OFTEN})
        found = gateway.find_refund(key) if job.attempts > 1 or refund.noted else None
        if found is None and refund.noted:
            return Done({"reason": NOTED})
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


def settle(on_twice: Callable[[], object], transaction: Transaction, settled: list[Settled]) -> None:
    """Write the outcomes, and publish them."""
    job_of = {job.payload["refundId"]: job for job, _ in settled}
    books = repository.lock(transaction, {job.subject for job in job_of.values()})
    for job, result in settled:
        before = books.refunds.get(job.payload["refundId"])
        if before is not None and before.reference not in (None, result.get("reference", before.reference)):
            transaction.after_commit(partial(report_twice, on_twice, job.subject, job.payload["refundId"]))
    rows = repository.settle(transaction, [_row(job, result) for job, result in settled])
    outbox.emit(transaction, [outcome(row, job_of[row.refund_id].traceparent) for row in rows])


def outcome(row: Row, traceparent: str | None) -> tuple[Topic, Event[Any]]:
    """The event about a refund that has succeeded or failed."""
    if row.state == RefundState.FAILED:
        return failed(row.order_id, row.refund_id, row.amount, row.currency, row.reason, traceparent, row.outcome)
    return completed(row.order_id, row.refund_id, row.amount, row.currency, row.reference, traceparent, row.outcome)


def completed(
    order_id: str, refund_id: str, amount: int, currency: str, reference: str, traceparent: str | None, number: int = 0
) -> tuple[Topic, Event[Any]]:
    """The event about a refund that has succeeded. `number` 0 means that the outcome has no number."""
    data = RefundCompleted(
        order_id=order_id,
        refund_id=refund_id,
        amount=amount,
        currency=currency,
        reference=reference,
        outcome=number or None,
    )
    return REFUND_COMPLETED, REFUND_COMPLETED.event(data, order_id, traceparent)


def failed(
    order_id: str, refund_id: str, amount: int, currency: str, reason: str, traceparent: str | None, number: int = 0
) -> tuple[Topic, Event[Any]]:
    """The event about a refund that has failed. `number` 0 means that the outcome has no number."""
    data = RefundFailed(
        order_id=order_id, refund_id=refund_id, amount=amount, currency=currency, reason=reason, outcome=number or None
    )
    return REFUND_FAILED, REFUND_FAILED.event(data, order_id, traceparent)


def report_twice(on_twice: Callable[[], object], order_id: str, refund_id: str) -> None:
    """Report that the gateway has refunded money that an operator had recorded as returned in another way."""
    on_twice()
    log.error("refunded_twice", order_id=order_id, refund_id=refund_id)


def _row(job: Job, result: Mapping[str, Any]) -> dict[str, object]:
    state = RefundState.FAILED if "reason" in result else RefundState.SUCCEEDED
    return {"refund_id": job.payload["refundId"], "state": state, **result}
