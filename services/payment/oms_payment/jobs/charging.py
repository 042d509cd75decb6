"""Charges: the calls to the gateway, and what follows from their outcomes."""

from collections.abc import Callable
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter

from oms_chassis.db import Transaction
from oms_chassis.jobs.queue import Done, Job, JobQueue, NewJob, Paused, Retry, Settled, Waiting, enqueue
from oms_chassis.messaging import outbox
from oms_chassis.telemetry.logs import logger
from oms_contracts.envelope import Event
from oms_contracts.events import (
    GATEWAY_REFUSED,
    GATEWAY_UNAVAILABLE,
    OrderCreated,
)
from oms_contracts.topics import PAYMENT_COMPLETED, PAYMENT_FAILED, Topic
from oms_gateway import (
    ABANDONED,
    Charge,
    Gateway,
    RefundStatus,
    RequestRefused,
    Retryable,
    charge_key,
    refund_key,
)
from oms_payment import repository
from oms_payment.domain import Outcome, Payment, State, Step, failure_reason, step
from oms_payment.jobs import refunding
from oms_payment.jobs.repeating import again, wait
from oms_payment.schemas import ChargeOrder, RefundOrder

log = logger(__name__)

QUEUE = "charge"


def new_job(event: Event[OrderCreated]) -> NewJob:
    """The job that charges for an order."""
    order = event.data
    payload = order.model_dump(mode="json", exclude={"payment", "placed_at"}) | {"token": order.payment.token}
    return NewJob(charge_key(order.order_id), order.order_id, payload, event.traceparent)


def job_queue(gateway: Gateway, connections: int, patience: float, registry: CollectorRegistry) -> JobQueue:
    """The queue of charges at this gateway, with `connections` calls at a time. A charge whose calls have failed for
    `patience` seconds is given up."""
    mismatches = Counter(
        "oms_payment_charge_mismatches_total",
        "Charges found at the gateway that were of another amount than the order's, and were refunded",
        registry=registry,
    )
    made = partial(call, gateway, patience, on_mismatch=mismatches.inc)
    return JobQueue(QUEUE, made, settle, concurrency=connections, max_attempts=None)


def call(
    gateway: Gateway, patience: float, job: Job, on_mismatch: Callable[[], object] = lambda: None
) -> Done | Retry | Paused | Waiting:
    """Make one attempt; see domain.step for what it does."""
    order = ChargeOrder.model_validate(job.payload)
    try:
        charge, abandoned = _attempt(gateway, order, step(job.attempts, job.failed_calls, job.failing_for, patience))
        if charge.approved and (charge.amount, charge.currency) != (order.total, order.currency):
            return _reverse(gateway, order, charge, job, on_mismatch)
    except Retryable as error:
        return again(error)
    return Done(vars(_outcome(charge, abandoned)))


def _attempt(gateway: Gateway, order: ChargeOrder, what: Step) -> tuple[Charge, str]:
    """Return the charge that was made or found, and the reason to publish if its key was closed instead."""
    key = charge_key(order.order_id)
    if what is not Step.CHARGE and (found := gateway.find(key)) is not None:
        return found, GATEWAY_UNAVAILABLE
    if what is Step.CLOSE:
        return gateway.abandon(key), GATEWAY_UNAVAILABLE
    try:
        return gateway.charge(key, order.token, order.total, order.currency), GATEWAY_UNAVAILABLE
    except RequestRefused as error:
        log.error("charge_refused", order_id=order.order_id, error=type(error).__name__)
        return gateway.abandon(key), GATEWAY_REFUSED


def _reverse(
    gateway: Gateway, order: ChargeOrder, charge: Charge, job: Job, on_mismatch: Callable[[], object]
) -> Done | Waiting:
    """Refund a charge of a wrong amount, such as one under a key that was used before a restore."""
    key = refund_key(order.order_id)
    made = gateway.find_refund(key) or refunding.refund(gateway, key, charge.id, charge.amount)
    if made.status is RefundStatus.PENDING:
        return wait(job)
    on_mismatch()
    log.error("charge_mismatch", order_id=order.order_id, charge_id=charge.id, refund=made.status)
    return Done(vars(Outcome(approved=False, charge_id=charge.id, reason=GATEWAY_REFUSED)))


def _outcome(charge: Charge, abandoned: str) -> Outcome:
    if charge.approved:
        return Outcome(approved=True, charge_id=charge.id)
    reason = abandoned if charge.reason == ABANDONED else failure_reason(charge.reason)
    return Outcome(approved=False, charge_id=charge.id, reason=reason)


def settle(transaction: Transaction, settled: list[Settled]) -> None:
    """Write the outcomes and publish them. A charge of an order that was rejected meanwhile is refunded."""
    job_of = {job.subject: job for job, _ in settled}
    outcomes = {job.subject: Outcome.of(result) for job, result in settled}
    locked = repository.lock(transaction, outcomes)
    payments = [after for one in locked if (after := one.charged(outcomes[one.order_id])) is not None]
    repository.update(transaction, payments)
    outbox.emit(
        transaction, [_event(one, job_of[one.order_id]) for one in payments if one.state is not State.REFUNDING]
    )
    unwanted = [one for one in payments if one.state is State.REFUNDING]
    enqueue(transaction, refunding.QUEUE, [_refund(one, job_of[one.order_id]) for one in unwanted])


def _event(payment: Payment, job: Job) -> tuple[Topic, Event[Any]]:
    if payment.state is State.COMPLETED:
        topic, data = PAYMENT_COMPLETED, {**job.payload, "paymentId": payment.charge_id}
    else:
        topic, data = PAYMENT_FAILED, {**job.payload, "reason": payment.reason}
    return topic, topic.event(data, payment.order_id, job.traceparent, id=f"{payment.order_id}:{topic.name}")


def _refund(payment: Payment, job: Job) -> NewJob:
    return refunding.new_job(RefundOrder(**{**job.payload, "chargeId": payment.charge_id}), job.traceparent)
