"""Refunds of whole payments: the calls to the gateway, and what follows from their outcomes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter

from oms_chassis.db import Transaction
from oms_chassis.jobs.queue import Done, Job, JobQueue, NewJob, Paused, Retry, Settled, Waiting
from oms_chassis.messaging import outbox
from oms_chassis.telemetry.logs import logger
from oms_contracts.envelope import Event
from oms_contracts.events import FAILED_TOO_OFTEN, GATEWAY_FAILED, PaymentRefunded
from oms_contracts.topics import PAYMENT_REFUNDED, Topic
from oms_gateway import Gateway, Refund, RefundStatus, RequestRefused, Retryable, charge_key, refund_key
from oms_payment import repository
from oms_payment.domain import NOT_CHARGED, REFUND_FAILED, Payment, State
from oms_payment.jobs.repeating import again, remainder, unused, wait
from oms_payment.jobs.requested import completed, failed, report_twice
from oms_payment.schemas import RefundOrder

log = logger(__name__)

QUEUE = "refund"


def new_job(order: RefundOrder, traceparent: str | None) -> NewJob:
    """The job that refunds an order."""
    return NewJob(
        refund_key(order.order_id), order.order_id, order.model_dump(mode="json", exclude_unset=True), traceparent
    )


def failures(registry: CollectorRegistry) -> Counter:
    """The counter of cancelled orders' refunds that have failed, at once or after they had succeeded."""
    return Counter(
        "oms_payment_compensations_failed_total",
        "Refunds of cancelled orders that the gateway accepted, but that failed: an operator has to act",
        registry=registry,
    )


def job_queue(
    gateway: Gateway, on_failed: Callable[[], object] = lambda: None, on_twice: Callable[[], object] = lambda: None
) -> JobQueue:
    """The queue of refunds at this gateway. `on_failed` is called for each failure, `on_twice` as in requested.py."""
    settled = partial(settle, on_failed, on_twice)
    return JobQueue(QUEUE, partial(call, gateway), settled, concurrency=4, max_attempts=None)


def call(gateway: Gateway, job: Job) -> Done | Retry | Paused | Waiting:
    """Make one attempt. The key is derived from the order, so that a repeated call cannot refund twice."""
    order = RefundOrder.model_validate(job.payload)
    try:
        key = order.key or (unused(gateway, job.id) if order.again else job.id)
        if key is None:
            log.error("compensation_failed_too_often", order_id=order.order_id)
            return Done({"refund_id": NOT_CHARGED, "amount": order.total, "failed": True, "reason": FAILED_TOO_OFTEN})
        made = _find(gateway, key) if order.noted else _attempt(gateway, order, key, job.attempts)
    except Retryable as error:
        return again(error)
    if made is None:
        return Done({"refund_id": NOT_CHARGED, "amount": 0})
    if made.status is RefundStatus.PENDING:
        return wait(job, key)
    return Done({"refund_id": made.id, "amount": made.amount, "failed": made.status is RefundStatus.FAILED})


def _attempt(gateway: Gateway, order: RefundOrder, key: str, attempts: int) -> Refund | None:
    if attempts > 1 and (found := _find(gateway, key)) is not None:
        return found
    if order.charge_id is not None:
        return refund(gateway, key, order.charge_id, order.total)
    # No charge is known here. Closing its key makes sure that there is none, or reveals it.
    charge = gateway.abandon(charge_key(order.order_id))
    return refund(gateway, key, charge.id, charge.amount) if charge.approved else None


def _find(gateway: Gateway, key: str) -> Refund | None:
    """The refund of an earlier attempt, together with what somebody had refunded by hand before it."""
    found = gateway.find_refund(key)
    if found is None and (found := gateway.find_refund(remainder(key))) is not None:
        return _together(found, [one for one in _given(gateway, found.charge_id) if one.id != found.id])
    return found


def _given(gateway: Gateway, charge_id: str) -> list[Refund]:
    return [one for one in gateway.refunds_of(charge_id) if one.status is not RefundStatus.FAILED]


def _together(last: Refund, others: Iterable[Refund]) -> Refund:
    """Several refunds as one: the last of them, in the least advanced status of all."""
    amount = last.amount + sum(one.amount for one in others)
    is_pending = any(one.status is RefundStatus.PENDING for one in others)
    status = RefundStatus.PENDING if is_pending and last.status is RefundStatus.SUCCEEDED else last.status
    return replace(last, amount=amount, status=status)


def refund(gateway: Gateway, key: str, charge_id: str, amount: int) -> Refund:
    """Refund the amount, less what somebody has refunded by hand. Raises RequestRefused if the gateway refuses for
    another reason."""
    try:
        return gateway.refund(key, charge_id, amount)
    except RequestRefused:
        by_hand = _given(gateway, charge_id)
        if not by_hand:
            raise
    given = sum(one.amount for one in by_hand)
    log.warning("refund_was_made_by_hand", refund_id=by_hand[-1].id, missing=max(0, amount - given))
    if given >= amount:
        return _together(by_hand[-1], by_hand[:-1])
    return _together(gateway.refund(remainder(key), charge_id, amount - given), by_hand)


def settle(
    on_failed: Callable[[], object], on_twice: Callable[[], object], transaction: Transaction, settled: list[Settled]
) -> None:
    """Write the outcomes, and publish them."""
    results = {job.subject: (job, result) for job, result in settled}
    locked = repository.lock(transaction, results)
    for one in locked:
        if _is_given_twice(one, results[one.order_id][1]):
            transaction.after_commit(partial(report_twice, on_twice, one.order_id, one.order_id))
    payments = [after for one in locked if (after := _after(one, results[one.order_id][1])) is not None]
    repository.update(transaction, payments)
    outbox.emit(transaction, [event for one in payments for event in _events(one, *results[one.order_id])])
    for one in payments:
        if one.state is State.REFUNDING:
            transaction.after_commit(partial(report_failed, on_failed, one.order_id))


def report_failed(on_failed: Callable[[], object], order_id: str) -> None:
    """Report that the refund of a cancelled order has failed."""
    on_failed()
    log.error("compensation_failed", order_id=order_id)


def _after(payment: Payment, result: Mapping[str, Any]) -> Payment | None:
    if result.get("failed"):
        return payment.refund_failed(result.get("reason", REFUND_FAILED))
    return payment.refunded(result["refund_id"])


def _is_given_twice(payment: Payment, result: Mapping[str, Any]) -> bool:
    """Whether the gateway has refunded money that had been returned in another way."""
    by_gateway = result["amount"] > 0 and not result.get("failed")
    return payment.state is State.REFUNDED and by_gateway and payment.refund_id != result["refund_id"]


def _events(payment: Payment, job: Job, result: Mapping[str, Any]) -> Iterator[tuple[Topic, Event[Any]]]:
    order, amount = RefundOrder.model_validate(job.payload), result["amount"]
    if payment.state is State.REFUNDING:
        about = (order.order_id, order.order_id, amount, order.currency)
        yield failed(*about, result.get("reason", GATEWAY_FAILED), job.traceparent, payment.outcome)
        return
    yield from published(order, result["refund_id"], amount, job.traceparent, payment.outcome)


def published(
    order: RefundOrder, refund_id: str, amount: int, traceparent: str | None, number: int
) -> Iterator[tuple[Topic, Event[Any]]]:
    """The events about the refund of a cancelled order. If it was made `again`, the order's timeline shows a failure,
    so a success is published for it as well, even if the order is already CANCELLED. Its `number` makes it count for
    more than the failure, whichever arrives first."""
    yield _refunded(order, refund_id, amount, traceparent, id=f"{order.order_id}:{PAYMENT_REFUNDED.name}")
    yield from _completed(order, refund_id, amount, traceparent, number)


def published_again(
    payment: Payment, total: int, currency: str, traceparent: str | None
) -> Iterator[tuple[Topic, Event[Any]]]:
    """The last outcome of a cancelled order's refund, published again for an order that may have missed it. The events
    have new ids, since readers drop ids that they have seen. Nothing if the refund is still pending."""
    if payment.state is State.REFUNDED:
        refund_id = payment.refund_id or NOT_CHARGED
        amount = 0 if refund_id == NOT_CHARGED else total
        order = RefundOrder(order_id=payment.order_id, total=total, currency=currency, again=payment.had_failed)
        yield _refunded(order, refund_id, amount, traceparent)
        yield from _completed(order, refund_id, amount, traceparent, payment.outcome)
    elif payment.has_failed and payment.outcome > 0:
        about = (payment.order_id, payment.order_id, total, currency)
        yield failed(*about, GATEWAY_FAILED, traceparent, payment.outcome)


def _refunded(
    order: RefundOrder, refund_id: str, amount: int, traceparent: str | None, **more: str
) -> tuple[Topic, Event[Any]]:
    data = PaymentRefunded(order_id=order.order_id, refund_id=refund_id, amount=amount, currency=order.currency)
    return PAYMENT_REFUNDED, PAYMENT_REFUNDED.event(data, order.order_id, traceparent, **more)


def _completed(
    order: RefundOrder, refund_id: str, amount: int, traceparent: str | None, number: int
) -> Iterator[tuple[Topic, Event[Any]]]:
    if order.again and amount > 0:
        yield completed(order.order_id, order.order_id, amount, order.currency, refund_id, traceparent, number)
