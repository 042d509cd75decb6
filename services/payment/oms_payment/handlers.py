"""What the service does with each event: it only writes rows and jobs here; the workers move the money."""

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
    """Open a payment for each order and have it charged, unless it is known already: charged, or rejected before."""
    new = repository.insert(transaction, (event.data for event in events), State.PENDING)
    enqueue(transaction, charging.QUEUE, [charging.new_job(event) for event in events if event.data.order_id in new])


def give_back(transaction: Transaction, events: Sequence[Event[InventoryRejected | OrderCancelled]]) -> None:
    """Have the money of each order go back: there is no stock for it, or it was cancelled.

    A charge that no worker has begun is never made. Where the charge's outcome is still to come, its settling starts
    the refund. An order that is not known is noted as rejected, so that it is never charged, and the gateway is asked
    whether it ever was.
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
    """What was published of payments that have ended, or of which a refund has failed, once more, for an order that has
    not received it."""
    for payment in known:
        event = asked[payment.order_id]
        trace = tracing.passed_on(event.traceparent)
        about = {name: getattr(event.data, name) for name in OrderEvent.model_fields}
        yield from refunding.published_again(payment, event.data.total, event.data.currency, trace)
        if payment.state is State.FAILED:
            failed = PaymentFailed(**about, reason=payment.reason or failure_reason(None))
            yield PAYMENT_FAILED, PAYMENT_FAILED.event(failed, payment.order_id, trace)


def _uncharged(transaction: Transaction, payments: Iterable[Payment]) -> set[str]:
    """Those of these orders whose charge had not been begun, and now is not going to be."""
    waiting = [charge_key(payment.order_id) for payment in payments if payment.charge_id is None]
    return withdraw(transaction, charging.QUEUE, waiting) if waiting else set()


def _refund(event: Event[InventoryRejected | OrderCancelled], charge_id: str | None) -> NewJob:
    order = event.data
    refund = RefundOrder(order_id=order.order_id, total=order.total, currency=order.currency, charge_id=charge_id)
    return refunding.new_job(refund, event.traceparent)
