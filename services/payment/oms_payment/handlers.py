"""Event handlers: they only write rows and jobs; the workers move the money."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from oms_chassis.db import Transaction
from oms_chassis.jobs.queue import NewJob, enqueue, withdraw
from oms_chassis.messaging import outbox
from oms_chassis.telemetry import tracing
from oms_contracts.envelope import Event
from oms_contracts.events import InventoryRejected, OrderCancelled, OrderCreated, OrderEvent, PaymentFailed
from oms_contracts.topics import PAYMENT_FAILED, Topic
from oms_gateway import charge_key
from oms_payment import repository
from oms_payment.domain import Payment, State, failure_reason
from oms_payment.jobs import charging, refunding
from oms_payment.schemas import RefundOrder


def order_created(transaction: Transaction, events: list[Event[OrderCreated]]) -> None:
    """Open a payment for each order and enqueue its charge, unless the order was charged or rejected before."""
    new = repository.insert(transaction, (event.data for event in events), State.PENDING)
    enqueue(transaction, charging.QUEUE, [charging.new_job(event) for event in events if event.data.order_id in new])


def give_back(transaction: Transaction, events: Sequence[Event[InventoryRejected | OrderCancelled]]) -> None:
    """Refund each order, because it was cancelled or there is no stock for it.

    A charge that no worker has begun is never made. If the outcome of a charge is still unknown, its settling starts
    the refund. An unknown order is recorded as rejected, so that it is never charged, and the gateway is asked whether
    it ever was.
    """
    rejected = {event.data.order_id: event for event in events}
    unknown = repository.insert(transaction, (event.data for event in rejected.values()), State.REFUNDING)
    known = repository.lock(transaction, rejected.keys() - unknown)
    changed = [after for payment in known if (after := payment.rejected()) is not None]
    repository.update(transaction, changed)
    due: dict[str, str | None] = dict.fromkeys(unknown | _uncharged(transaction, changed))
    due |= {payment.order_id: payment.charge_id for payment in changed if payment.charge_id is not None}
    enqueue(transaction, refunding.QUEUE, [_refund(rejected[order], charge_id) for order, charge_id in due.items()])
    asked = {
        event.data.order_id: event for event in events if isinstance(event.data, OrderCancelled) and event.data.again
    }
    outbox.emit(transaction, _answers([one for one in known if one.order_id in asked], asked))


def _answers(known: Iterable[Payment], asked: Mapping[str, Event[Any]]) -> Iterator[tuple[Topic, Event[Any]]]:
    """Events about payments that have ended, or whose refunds have failed, published again for orders that may have
    missed them."""
    for payment in known:
        event = asked[payment.order_id]
        trace = tracing.passed_on(event.traceparent)
        about = {name: getattr(event.data, name) for name in OrderEvent.model_fields}
        yield from refunding.published_again(payment, event.data.total, event.data.currency, trace)
        if payment.state is State.FAILED:
            failed = PaymentFailed(**about, reason=payment.reason or failure_reason(None))
            yield PAYMENT_FAILED, PAYMENT_FAILED.event(failed, payment.order_id, trace)


def _uncharged(transaction: Transaction, payments: Iterable[Payment]) -> set[str]:
    """Withdraw the charges of these orders that have not begun, and return those orders."""
    waiting = [charge_key(payment.order_id) for payment in payments if payment.charge_id is None]
    return withdraw(transaction, charging.QUEUE, waiting) if waiting else set()


def _refund(event: Event[InventoryRejected | OrderCancelled], charge_id: str | None) -> NewJob:
    order = event.data
    refund = RefundOrder(order_id=order.order_id, total=order.total, currency=order.currency, charge_id=charge_id)
    return refunding.new_job(refund, event.traceparent)
