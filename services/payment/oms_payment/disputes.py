"""Disputes: a customer's bank takes a charge back. The gateway is polled for disputes, and new ones are recorded.

A disputed amount is not refunded as well: later refunds can only use what remains. Each dispute is published once, for
the order's timeline.
"""

from collections.abc import Sequence
from functools import partial
from operator import attrgetter
from typing import Any

from prometheus_client import CollectorRegistry, Counter

from oms_chassis.db import Database
from oms_chassis.messaging import outbox
from oms_chassis.poison import PoisonIsolator
from oms_chassis.runtime.threads import Task
from oms_chassis.statements import Row
from oms_chassis.telemetry.logs import logger
from oms_contracts.envelope import Event
from oms_contracts.events import ChargeDisputed
from oms_contracts.topics import CHARGE_DISPUTED, Topic
from oms_gateway import Dispute, Gateway
from oms_payment.repository import disputes as repository

log = logger(__name__)

DAYS = 30.0  # covered by each poll, so that no outage makes it miss anything


def task(gateway: Gateway, database: Database, every: float, registry: CollectorRegistry) -> Task:
    """Polls the gateway for disputes every so many seconds."""
    noticed = Counter(
        "oms_payment_disputes_total", "Charges that customers' banks have taken back by themselves", registry=registry
    )
    note = PoisonIsolator(partial(_note, database, noticed), attrgetter("id"))
    return Task("disputes", lambda: note(gateway.disputes(DAYS)), every)


def _note(database: Database, noticed: Counter, found: Sequence[Dispute]) -> None:
    """Record the new ones, and publish them."""
    with database.transaction() as transaction:
        new = repository.insert(transaction, found)
        outbox.emit(transaction, [_event(row) for row in new if row.is_ours])
    for row in new:
        noticed.inc()
        log.error("charge_disputed", order_id=row.order_id, dispute_id=row.id)


def _event(row: Row) -> tuple[Topic, Event[Any]]:
    data = ChargeDisputed(order_id=row.order_id, dispute_id=row.id, amount=row.amount, currency=row.currency)
    return CHARGE_DISPUTED, CHARGE_DISPUTED.event(data, row.order_id)
