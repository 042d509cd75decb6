"""Orders that are rejected or cancelled get their money back, once."""

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry
from support.charges import (
    BAD,
    GOOD,
    charge_all,
    charging_at,
    die,
    payment,
    published,
    refund_all,
    settled,
    take,
    work_all,
)
from support.chassis import eventually, pending_events, pending_jobs, process_due_jobs, running
from support.gateways import Fault, FlakyGateway
from support.payments import TRACE, begin_charges, cancelled, created, rejected

from oms_chassis.db import Database
from oms_chassis.jobs.worker import Worker
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.topics import PAYMENT_COMPLETED, PAYMENT_REFUNDED
from oms_gateway import Charge, Refund, RequestRefused, charge_key
from oms_payment import handlers
from oms_payment.domain import NOT_CHARGED, State
from oms_payment.jobs import charging, refunding
from oms_simulators.payment import ledger


def test_a_worker_that_dies_after_the_refund_leaves_one_refund_that_the_next_one_finds(
    database: Database, gateway: FlakyGateway, database_url: str
) -> None:
    take(database, created("o1", GOOD))
    charge_all(database, gateway)
    take(database, rejected("o1"))
    with pytest.raises(ConnectionError):
        process_due_jobs(database, replace(refunding.job_queue(gateway), settle=die))
    refund_all(database, gateway)
    assert gateway.calls == ["charge", "refund", "find_refund"]
    assert published(database) == ["paymentCompletedEvent", "paymentRefundedEvent"]
    assert ledger.net_by_order(database_url) == {"o1": 0}


def test_a_rejected_order_gets_its_money_back_once(
    database: Database, gateway: FlakyGateway, database_url: str
) -> None:
    take(database, created("o1", GOOD))
    charge_all(database, gateway)
    take(database, rejected("o1"), rejected("o1"))
    work_all(database, gateway)
    (event,) = pending_events(database, PAYMENT_REFUNDED)
    (refund,) = ledger.refunds_by_order(database_url)["o1"]
    assert (event.data.refund_id, event.data.amount, event.data.currency) == (refund.id, 2500, "USD")
    assert (event.subject, event.traceparent, event.id) == ("o1", TRACE, "o1:paymentRefundedEvent")
    assert (payment(database).state, payment(database).refund_id) == ("REFUNDED", refund.id)
    assert ledger.net_by_order(database_url) == {"o1": 0}


class LongNamed(FlakyGateway):
    """A gateway whose ids are as long as Stripe says that its own may be: 255 characters."""

    def charge(self, key: str, token: str, amount: int, currency: str) -> Charge:
        charge = super().charge(key, token, amount, currency)
        return replace(charge, id=charge.id.ljust(255, "~"))

    def refund(self, key: str, charge_id: str, amount: int) -> Refund:
        refund = super().refund(key, charge_id.rstrip("~"), amount)
        return replace(refund, id=refund.id.ljust(255, "~"), charge_id=charge_id)


def test_ids_of_a_gateway_may_be_as_long_as_those_of_stripe(database: Database, gateway: FlakyGateway) -> None:
    gateway = LongNamed(gateway)
    take(database, created("o1", GOOD))
    charge_all(database, gateway)
    (completed,) = pending_events(database, PAYMENT_COMPLETED)
    take(database, rejected("o1"))
    work_all(database, gateway)
    (refunded,) = pending_events(database, PAYMENT_REFUNDED)
    assert len(completed.data.payment_id) == len(refunded.data.refund_id) == 255


def test_a_rejection_that_overtakes_the_charge_refunds_it_and_asks_for_no_stock(
    database: Database, gateway: FlakyGateway, database_url: str
) -> None:
    take(database, created("o1", GOOD))
    begin_charges(database)
    take(database, rejected("o1"))
    work_all(database, gateway)
    assert published(database) == ["paymentRefundedEvent"]
    assert pending_events(database)[0].data.amount == 2500
    assert ledger.net_by_order(database_url) == {"o1": 0}


def test_a_rejection_that_overtakes_a_decline_refunds_nothing(database: Database, gateway: FlakyGateway) -> None:
    take(database, created("o1", BAD), rejected("o1"))
    work_all(database, gateway)
    (event,) = pending_events(database)
    assert (event.type, event.data.amount, event.data.refund_id) == ("paymentRefundedEvent", 0, NOT_CHARGED)
    assert payment(database).state == "REFUNDED"


def test_a_rejection_that_overtakes_the_order_refunds_nothing_and_lets_nothing_be_charged(
    database: Database, gateway: FlakyGateway, database_url: str
) -> None:
    take(database, rejected("o1"), created("o1", GOOD))
    work_all(database, gateway)
    assert [(event.type, event.data.amount) for event in pending_events(database)] == [("paymentRefundedEvent", 0)]
    assert not gateway.charge(charge_key("o1"), GOOD, 2500, "USD").approved
    assert ledger.net_by_order(database_url) == {"o1": 0}


def test_a_rejection_of_an_order_that_only_the_gateway_remembers_is_refunded(
    database: Database, gateway: FlakyGateway, database_url: str
) -> None:
    """As after a database was restored from a backup."""
    gateway.charge(charge_key("o1"), GOOD, 2500, "USD")
    take(database, rejected("o1"))
    work_all(database, gateway)
    assert [(event.type, event.data.amount) for event in pending_events(database)] == [("paymentRefundedEvent", 2500)]
    assert ledger.net_by_order(database_url) == {"o1": 0}


def test_a_cancelled_order_that_no_worker_has_begun_to_charge_is_not_charged(
    database: Database, gateway: FlakyGateway, database_url: str
) -> None:
    take(database, created("o1", GOOD), cancelled("o1"))
    work_all(database, gateway)
    assert [(event.type, event.data.amount) for event in pending_events(database)] == [("paymentRefundedEvent", 0)]
    assert "charge" not in gateway.calls
    assert not any(charge.approved for charge in ledger.charges_by_order(database_url)["o1"])


@pytest.mark.parametrize("fault", [Fault.NOT_TAKEN, Fault.ANSWER_LOST])
def test_a_refund_on_a_bad_line_is_made_exactly_once(
    database: Database, gateway: FlakyGateway, database_url: str, fault: Fault
) -> None:
    take(database, created("o1", GOOD))
    charge_all(database, gateway)
    take(database, rejected("o1"))
    gateway.plan("refund", *[fault] * 3)
    gateway.plan("find_refund", *[Fault.NOT_TAKEN] * 3)
    work_all(database, gateway)
    assert published(database) == ["paymentCompletedEvent", "paymentRefundedEvent"]
    assert len(ledger.refunds_by_order(database_url)["o1"]) == 1


def test_a_refund_that_was_made_by_hand_is_recognised(
    database: Database, gateway: FlakyGateway, database_url: str
) -> None:
    take(database, created("o1", GOOD))
    charge_all(database, gateway)
    take(database, rejected("o1"))
    by_hand = gateway.refund("by-hand", payment(database).charge_id, 2500)
    work_all(database, gateway)
    (event,) = pending_events(database, PAYMENT_REFUNDED)
    assert (event.data.refund_id, event.data.amount) == (by_hand.id, 2500)
    assert ledger.net_by_order(database_url)["o1"] + ledger.net_by_order(database_url)["by-hand"] == 0


@pytest.mark.parametrize("fault", [Fault.NONE, Fault.ANSWER_LOST])
def test_of_a_charge_of_which_a_part_was_refunded_by_hand_the_remainder_is_refunded_once(
    database: Database, gateway: FlakyGateway, database_url: str, fault: Fault
) -> None:
    take(database, created("o1", GOOD))
    charge_all(database, gateway)
    take(database, rejected("o1"))
    gateway.refund("o1:by-hand", payment(database).charge_id, 100)
    gateway.plan("refund", Fault.NONE, fault)  # what is refused, and then the remainder
    work_all(database, gateway)
    (event,) = pending_events(database, PAYMENT_REFUNDED)
    assert event.data.amount == 2500
    assert sorted(one.amount for one in ledger.refunds_by_order(database_url)["o1"]) == [100, 2400]
    assert payment(database).state == State.REFUNDED


def test_a_refund_that_the_gateway_refuses_is_kept_for_a_person_to_look_at(
    database: Database, gateway: FlakyGateway
) -> None:
    take(database, created("o1", GOOD))
    charge_all(database, gateway)
    take(database, rejected("o1"))
    (job,) = pending_jobs(database, "refund")
    with pytest.raises(RequestRefused):
        refunding.call(gateway, replace(job, payload={**job.payload, "chargeId": "ch-nobody"}))


def test_an_order_that_is_cancelled_in_the_batch_that_it_is_placed_in_is_never_charged(
    database: Database, gateway: FlakyGateway, database_url: str
) -> None:
    metrics = Metrics(CollectorRegistry())
    with (
        running(Worker(charging_at(gateway), database, metrics)),
        running(Worker(refunding.job_queue(gateway), database, metrics)),
    ):
        eventually(lambda: database.signals.handoffs[charging.QUEUE].room)
        with database.transaction() as transaction:
            handlers.order_created(transaction, [created("o1", GOOD)])
            handlers.give_back(transaction, [cancelled("o1")])
        eventually(lambda: settled(database) == {"REFUNDED": 1})
    assert ledger.net_by_order(database_url)["o1"] == 0
    assert [event.data.amount for event in pending_events(database, PAYMENT_REFUNDED)] == [0]
