"""Charges: made once, whatever the line and the workers do."""

from collections import Counter
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry
from support.charges import (
    BAD,
    GIVE_UP_AFTER,
    GOOD,
    charge_all,
    charging_at,
    die,
    let_the_patience_end,
    payment,
    published,
    take,
    work_all,
)
from support.chassis import pending_events, pending_jobs, process_due_jobs
from support.gateways import Fault, FlakyGateway, token
from support.payments import TRACE, created

from oms_chassis.db import Database
from oms_chassis.jobs.queue import Done
from oms_contracts.topics import PAYMENT_COMPLETED, PAYMENT_FAILED
from oms_gateway import Charge, charge_key
from oms_payment.jobs import charging, refunding
from oms_simulators.payment import ledger
from oms_simulators.payment.testcards import Outcome


def test_an_approved_charge_is_published_with_all_that_inventory_needs(
    database: Database, gateway: FlakyGateway, database_url: str
) -> None:
    order = created("o1", GOOD)
    take(database, order)
    charge_all(database, gateway)
    (event,) = pending_events(database, PAYMENT_COMPLETED)
    (charge,) = ledger.charges_by_order(database_url)["o1"]
    assert (event.data.payment_id, event.data.total, event.data.currency) == (charge.id, 2500, "USD")
    assert (event.data.lines, event.data.customer) == (order.data.lines, order.data.customer)
    assert (event.subject, event.traceparent, event.id) == ("o1", TRACE, "o1:paymentCompletedEvent")
    assert (payment(database).state, payment(database).charge_id) == ("COMPLETED", charge.id)
    assert pending_jobs(database, "charge") == []


def test_a_declined_card_is_published_with_its_reason(database: Database, gateway: FlakyGateway) -> None:
    order = created("o1", BAD)
    take(database, order)
    charge_all(database, gateway)
    (event,) = pending_events(database)
    assert (event.type, event.data.reason) == ("paymentFailedEvent", "insufficient-funds")
    assert (event.data.customer, event.traceparent) == (order.data.customer, TRACE)
    assert (payment(database).state, payment(database).reason) == ("FAILED", "insufficient-funds")


class Wordy(FlakyGateway):
    """A gateway that gives its reasons in words."""

    def __init__(self, gateway: FlakyGateway, words: str) -> None:
        super().__init__(gateway)
        self._words = words

    def charge(self, key: str, token: str, amount: int, currency: str) -> Charge:
        return replace(super().charge(key, token, amount, currency), reason=self._words)


@pytest.mark.parametrize("words", ["x" * 300, "do not\nhonour", "declined\0", "declined \ud800", " ", "\u2028"])
def test_whatever_a_gateway_gives_as_its_reason_the_payment_has_failed(
    database: Database, gateway: FlakyGateway, words: str
) -> None:
    take(database, created("o1", BAD))
    charge_all(database, Wordy(gateway, words))
    (event,) = pending_events(database)
    assert event.type == "paymentFailedEvent"
    assert event.data.reason.strip()
    assert event.data.reason.isprintable()
    assert payment(database).state == "FAILED"
    assert pending_jobs(database, "charge") == []


def test_a_batch_of_good_and_bad_cards_settles_each_by_its_own_outcome(
    database: Database, gateway: FlakyGateway
) -> None:
    take(database, *(created(f"o{n}", GOOD if n % 3 else BAD) for n in range(30)))
    charge_all(database, gateway)
    assert Counter(published(database)) == {"paymentCompletedEvent": 20, "paymentFailedEvent": 10}
    assert {event.subject for event in pending_events(database, PAYMENT_FAILED)} == {f"o{n}" for n in range(0, 30, 3)}


@pytest.mark.parametrize("outcome", [Outcome.LOST_ANSWER, Outcome.FLAKY])
def test_a_card_that_troubles_the_line_is_charged_exactly_once(
    database: Database, gateway: FlakyGateway, database_url: str, outcome: Outcome
) -> None:
    take(database, created("o1", token(outcome)))
    work_all(database, gateway)
    assert [charge.approved for charge in ledger.charges_by_order(database_url)["o1"]] == [True]
    assert published(database) == ["paymentCompletedEvent"]


def test_after_a_lost_answer_the_gateway_is_asked_and_not_charged_again(
    database: Database, gateway: FlakyGateway, database_url: str
) -> None:
    gateway.plan("charge", Fault.ANSWER_LOST)
    take(database, created("o1", GOOD))
    charge_all(database, gateway)
    assert published(database) == []
    charge_all(database, gateway)
    assert gateway.calls == ["charge", "find"]
    assert published(database) == ["paymentCompletedEvent"]
    assert ledger.net_by_order(database_url) == {"o1": 2500}


def test_a_worker_that_dies_after_the_charge_leaves_one_charge_that_the_next_one_finds(
    database: Database, gateway: FlakyGateway, database_url: str
) -> None:
    take(database, created("o1", GOOD))
    job_queue = replace(charging_at(gateway), settle=die)
    with pytest.raises(ConnectionError):
        process_due_jobs(database, job_queue)
    charge_all(database, gateway)
    assert gateway.calls == ["charge", "find"]
    assert published(database) == ["paymentCompletedEvent"]
    assert ledger.net_by_order(database_url) == {"o1": 2500}


def test_a_question_that_finds_nothing_is_followed_by_the_charge(database: Database, gateway: FlakyGateway) -> None:
    gateway.plan("charge", Fault.NOT_TAKEN)
    take(database, created("o1", GOOD))
    work_all(database, gateway)
    assert gateway.calls == ["charge", "find", "charge"]
    assert published(database) == ["paymentCompletedEvent"]


def test_a_question_that_fails_is_never_followed_by_a_charge(database: Database, gateway: FlakyGateway) -> None:
    gateway.plan("charge", Fault.ANSWER_LOST)
    gateway.plan("find", *[Fault.NOT_TAKEN] * 30)
    take(database, created("o1", GOOD))
    for _ in range(10):
        charge_all(database, gateway)
    let_the_patience_end(database)
    for _ in range(10):
        charge_all(database, gateway)
    assert Counter(gateway.calls) == {"charge": 1, "find": 19}
    assert published(database) == []
    work_all(database, gateway)
    assert published(database) == ["paymentCompletedEvent"]


def test_a_request_that_the_gateway_refuses_fails_the_payment_and_closes_the_key(
    database: Database, gateway: FlakyGateway, database_url: str
) -> None:
    take(database, created("o1", "not-a-token"), created("o2", GOOD, total=0))
    work_all(database, gateway)
    assert [event.data.reason for event in pending_events(database, PAYMENT_FAILED)] == ["gateway-refused"] * 2
    assert ledger.net_by_order(database_url) == {"o1": 0, "o2": 0}


@pytest.mark.parametrize(("amount", "currency"), [(100, "USD"), (2500, "EUR")])
@pytest.mark.parametrize("attempts", [1, 2])
def test_a_charge_that_is_not_what_the_order_costs_is_refunded_and_fails_the_payment(
    database: Database, gateway: FlakyGateway, database_url: str, amount: int, currency: str, attempts: int
) -> None:
    gateway.charge(charge_key("o1"), GOOD, amount, currency)
    take(database, created("o1", GOOD))
    database.execute("UPDATE job SET attempts = %(claims)s", claims=attempts - 1)
    registry = CollectorRegistry()
    process_due_jobs(database, charging_at(gateway, registry))
    (event,) = pending_events(database)
    assert (event.type, event.data.reason) == ("paymentFailedEvent", "gateway-refused")
    assert ledger.net_by_order(database_url) == {"o1": 0}
    assert registry.get_sample_value("oms_payment_charge_mismatches_total") == 1.0


def test_jobs_of_money_are_never_given_up(database: Database, gateway: FlakyGateway) -> None:
    assert charging_at(gateway).max_attempts is refunding.job_queue(gateway).max_attempts is None


def test_a_second_settling_of_the_same_charge_publishes_nothing_new(database: Database, gateway: FlakyGateway) -> None:
    take(database, created("o1", GOOD))
    (job,) = pending_jobs(database, "charge")
    outcome = charging.call(gateway, GIVE_UP_AFTER, job)
    assert isinstance(outcome, Done)
    for _ in range(2):
        with database.transaction() as transaction:
            charging.settle(transaction, [(job, outcome.result)])
    assert published(database) == ["paymentCompletedEvent"]
