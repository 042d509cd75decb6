"""A gateway that stays away: whether, and when, a charge is given up."""

from dataclasses import replace
from typing import Any

import pytest
from support.charges import GIVE_UP_AFTER, GOOD, charge_all, let_the_patience_end, make_due, published, take, work_all
from support.chassis import pending_events, pending_jobs
from support.gateways import Fault, FlakyGateway, token
from support.payments import created

from oms_chassis.db import Database
from oms_chassis.jobs.queue import Done, Paused, Unavailable, claim
from oms_gateway import GatewayClosed, charge_key
from oms_payment.jobs import charging
from oms_simulators.payment import ledger
from oms_simulators.payment.testcards import Outcome


def test_a_gateway_that_stays_away_fails_the_payment_once_the_key_is_closed(
    database: Database, gateway: FlakyGateway, database_url: str
) -> None:
    take(database, created("o1", token(Outcome.UNAVAILABLE)))
    for _ in range(30):
        charge_all(database, gateway)
    assert gateway.calls.count("charge") == 30
    assert published(database) == []
    let_the_patience_end(database)
    work_all(database, gateway)
    (event,) = pending_events(database)
    assert (event.type, event.data.reason) == ("paymentFailedEvent", "gateway-unavailable")
    assert gateway.calls.count("charge") == 30
    assert gateway.charge(charge_key("o1"), GOOD, 2500, "USD").approved is False, "a late call must find the key closed"
    assert ledger.net_by_order(database_url) == {"o1": 0}


def test_nothing_is_given_up_while_the_gateway_cannot_say_what_happened(
    database: Database, gateway: FlakyGateway
) -> None:
    gateway.plan("abandon", *[Fault.NOT_TAKEN] * 10, Fault.ANSWER_LOST)
    take(database, created("o1", token(Outcome.UNAVAILABLE)))
    charge_all(database, gateway)
    let_the_patience_end(database)
    for _ in range(10):
        charge_all(database, gateway)
        assert published(database) == []
    work_all(database, gateway)
    assert published(database) == ["paymentFailedEvent"]


def test_no_order_is_given_up_before_the_gateway_was_asked(database: Database, gateway: FlakyGateway) -> None:
    take(database, created("o1", GOOD))
    for _ in range(20):  # workers that claim, and die before they call
        make_due(database)
        with database.transaction() as transaction:
            claim(transaction, "charge", 10, 60.0)
    work_all(database, gateway)
    assert published(database) == ["paymentCompletedEvent"]


def test_an_outage_that_is_shorter_than_the_patience_fails_no_payment(
    database: Database, gateway: FlakyGateway
) -> None:
    gateway.plan("charge", Fault.NOT_TAKEN)
    gateway.plan("find", *[Fault.NOT_TAKEN] * 20)
    take(database, created("o1", GOOD))
    for _ in range(21):
        charge_all(database, gateway)
    work_all(database, gateway)
    assert published(database) == ["paymentCompletedEvent"]


def test_a_gateway_that_takes_no_call_says_so_to_the_worker(database: Database, gateway: FlakyGateway) -> None:
    gateway.plan("charge", Fault.NOT_TAKEN, Fault.ANSWER_LOST)
    take(database, created("o1", GOOD))
    (job,) = pending_jobs(database, "charge")
    first, second = (charging.call(gateway, GIVE_UP_AFTER, job) for _ in range(2))
    assert isinstance(first, Unavailable)
    assert not isinstance(second, Unavailable)


@pytest.mark.parametrize("answer", [429, 503, 401, 403, 404])
def test_a_gateway_that_takes_no_call_of_ours_pauses_the_queue_and_fails_no_payment(
    database: Database, gateway: FlakyGateway, answer: int
) -> None:
    """It is busy, or does not take our key any more: that says nothing about the order that met it."""
    closed = ClosedGateway(gateway, answer)
    take(database, created("o1", GOOD))
    (job,) = pending_jobs(database, "charge")
    for step in (job, replace(job, attempts=9, failed_calls=8, failing_for=GIVE_UP_AFTER)):
        assert charging.call(closed, GIVE_UP_AFTER, step) == Paused(f"gateway: {answer}", 30.0)
    charge_all(database, closed)
    (row,) = database.execute("SELECT failed_calls, failing_since FROM job")
    assert (row.failed_calls, row.failing_since) == (0, None)
    work_all(database, gateway)
    assert published(database) == ["paymentCompletedEvent"]


class ClosedGateway(FlakyGateway):
    """A gateway that answers every call with the same status."""

    def __init__(self, gateway: FlakyGateway, answer: int) -> None:
        super().__init__(gateway)
        self._answer = answer

    def _call(self, *_: Any) -> Any:
        raise GatewayClosed(self._answer, 30.0)


def test_an_order_that_met_the_beginning_of_a_long_outage_is_charged_when_it_is_over(
    database: Database, gateway: FlakyGateway
) -> None:
    gateway.plan("charge", Fault.NOT_TAKEN)
    take(database, created("o1", GOOD))
    charge_all(database, gateway)
    database.execute("UPDATE job SET failing_since = now() - make_interval(hours => 1)")
    work_all(database, gateway)
    assert published(database) == ["paymentCompletedEvent"]


class AskedTooEarly(FlakyGateway):
    """A gateway that was asked just before the charge landed."""

    def find(self, key: str) -> None:
        self.calls.append(key)


def test_a_charge_that_lands_just_before_the_key_is_closed_counts(
    database: Database, gateway: FlakyGateway, database_url: str
) -> None:
    """A slow worker's call arrives between another's question and its closing of the key."""
    take(database, created("o1", GOOD))
    (job,) = pending_jobs(database, "charge")
    gateway.charge(charge_key("o1"), GOOD, 2500, "USD")
    outcome = charging.call(
        AskedTooEarly(gateway), GIVE_UP_AFTER, replace(job, attempts=9, failed_calls=8, failing_for=GIVE_UP_AFTER)
    )
    assert isinstance(outcome, Done)
    assert outcome.result["approved"] is True
    assert ledger.net_by_order(database_url) == {"o1": 2500}
