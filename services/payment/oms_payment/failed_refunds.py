"""Refunds that failed after they had succeeded: a customer's bank may send the money back days afterwards.

No job waits for them, so the gateway is polled for those of all orders. Such a refund has FAILED like any other: it is
published, and an operator has to act. For a confirmed order, the order service believes that it succeeded, and does not
ask again; so the failure is published several times, at growing intervals.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import attrgetter

from oms_chassis.db import Database, Transaction
from oms_chassis.messaging import outbox
from oms_chassis.poison import PoisonIsolator
from oms_chassis.runtime.threads import Task
from oms_chassis.statements import Rows
from oms_chassis.telemetry.logs import logger
from oms_contracts.events import GATEWAY_FAILED
from oms_gateway import FailedRefund, Gateway
from oms_payment import repository as payments
from oms_payment.domain import Payment, RefundState
from oms_payment.jobs import refunding, requested
from oms_payment.repository import failed_refunds as repository
from oms_payment.repository import refunds

log = logger(__name__)

DAYS = 30.0  # covered by each poll, so that no outage makes it miss anything
Found = Mapping[str, FailedRefund]


def task(gateway: Gateway, database: Database, every: float, on_failed: Callable[[], object]) -> Task:
    """Polls the gateway every so many seconds for refunds that failed after all; `on_failed` is called for each of a
    cancelled order."""
    note = PoisonIsolator(partial(_note, database, on_failed), attrgetter("id"))

    def call() -> None:
        _publish_again(database, every)
        note(gateway.failed_refunds(DAYS))

    return Task("failed-refunds", call, every)


def _publish_again(database: Database, every: float) -> None:
    with database.transaction() as transaction:
        rows = repository.due_again(transaction, every, DAYS)
        outbox.emit(transaction, [requested.outcome(row, None) for row in rows])


def _note(database: Database, on_failed: Callable[[], object], failed: Sequence[FailedRefund]) -> None:
    """Record those that are known here as succeeded, and publish them."""
    found = {one.id: one for one in failed}
    with database.transaction() as transaction:
        affected = repository.affected(transaction, found.values())
        parts = _requested(transaction, [row.order_id for row in affected], found)
        whole = _of_cancelled(transaction, [row.order_id for row in affected if row.whole], found)
    for payment in whole:
        refunding.report_failed(on_failed, payment.order_id)
    for row in parts:
        log.error("refund_failed", order_id=row.order_id, refund_id=row.refund_id)


def _of_cancelled(transaction: Transaction, orders: list[str], found: Found) -> list[Payment]:
    before = [one for one in payments.lock(transaction, orders) if one.refund_id in found]
    sent_back = [(found[one.refund_id or ""], one.refund_sent_back(one.refund_id or "")) for one in before]
    failed = [(one, after) for one, after in sent_back if after is not None]
    payments.update(transaction, [after for _, after in failed])
    outbox.emit(
        transaction,
        [
            requested.failed(
                after.order_id, after.order_id, one.amount, one.currency, GATEWAY_FAILED, None, after.outcome
            )
            for one, after in failed
        ],
    )
    return [after for _, after in failed]


def _requested(transaction: Transaction, orders: list[str], found: Found) -> Rows:
    """Only refunds whose reference is the gateway's: money that was returned in another way has not come back."""
    books = refunds.lock(transaction, orders)
    failed = [
        {"refund_id": row.refund_id, "state": RefundState.FAILED, "reason": GATEWAY_FAILED}
        for row in books.refunds.values()
        if row.state == RefundState.SUCCEEDED and row.reference in found
    ]
    rows = refunds.settle(transaction, failed, RefundState.SUCCEEDED)
    outbox.emit(transaction, [requested.outcome(row, None) for row in rows])
    return rows
