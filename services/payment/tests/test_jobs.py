"""The calls to the gateway, on a real database with the simulator's real ledger: above all when they go wrong."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from support.chassis import deliver, eventually, pending_events, pending_jobs, process_due_jobs, running
from support.gateways import Fault, FlakyGateway, token
from support.payments import TRACE, begin_charges, cancelled, created, rejected

from oms_chassis.db import Database
from oms_chassis.jobs.queue import Done, Job, JobQueue, Paused, Retry, Unavailable, claim
from oms_chassis.jobs.worker import Worker
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event
from oms_contracts.topics import PAYMENT_COMPLETED, PAYMENT_FAILED, PAYMENT_REFUNDED
from oms_gateway import Charge, GatewayClosed, Refund, RequestRefused, charge_key, refund_key
from oms_payment import handlers
from oms_payment.domain import LEAST_CALLS, NOT_CHARGED, State
from oms_payment.jobs import charging, refunding
from oms_simulators.payment import ledger
from oms_simulators.payment.testcards import Outcome

GIVE_UP_AFTER = 1800.0  # seconds
GOOD, BAD = token(Outcome.APPROVED), token(Outcome.INSUFFICIENT_FUNDS)


def take(database: Database, *events: Event[Any]) -> None:
    for event in events:
        handle = handlers.order_created if event.type == "orderCreatedEvent" else handlers.give_back
        deliver(database, handle, [event])


def charging_at(gateway: FlakyGateway, registry: CollectorRegistry | None = None) -> JobQueue:
    return charging.job_queue(gateway, 8, GIVE_UP_AFTER, registry or CollectorRegistry())


def let_the_patience_end(database: Database) -> None:
    database.execute(
        "UPDATE job SET failing_since = failing_since - make_interval(secs => %(s)s),"
        " failed_calls = greatest(failed_calls, %(calls)s)",
        s=GIVE_UP_AFTER,
        calls=LEAST_CALLS,
    )


def make_due(database: Database) -> None:
    """Let every backoff and every dead worker's lease be over."""
    with database.transaction() as transaction:
        transaction.run("UPDATE job SET run_at = now()")


def charge_all(database: Database, gateway: FlakyGateway) -> None:
    make_due(database)
    process_due_jobs(database, charging_at(gateway))


def refund_all(database: Database, gateway: FlakyGateway) -> None:
    make_due(database)
    process_due_jobs(database, refunding.job_queue(gateway))


def work_all(database: Database, gateway: FlakyGateway, passes: int = 20) -> None:
    for _ in range(passes):
        charge_all(database, gateway)
        refund_all(database, gateway)
        if not pending_jobs(database, "charge") and not pending_jobs(database, "refund"):
            return
    raise AssertionError("jobs are left")


def payment(database: Database, order_id: str = "o1") -> Any:
    (row,) = database.execute("SELECT * FROM payment WHERE order_id = %(id)s", id=order_id)
    return row


def published(database: Database) -> list[str]:
    return [event.type for event in pending_events(database)]


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


def die(*_: Any) -> None:
    raise ConnectionError


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


def test_a_request_that_the_gateway_refuses_fails_the_payment_and_closes_the_key(
    database: Database, gateway: FlakyGateway, database_url: str
) -> None:
    take(database, created("o1", "not-a-token"), created("o2", GOOD, total=0))
    work_all(database, gateway)
    assert [event.data.reason for event in pending_events(database, PAYMENT_FAILED)] == ["gateway-refused"] * 2
    assert ledger.net_by_order(database_url) == {"o1": 0, "o2": 0}


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


ACTIONS = ("created", "created", "rejected", "cancelled", "charge", "refund")


def test_in_whatever_order_things_happen_the_money_ends_refunded_exactly_once(
    database: Database, gateway: FlakyGateway, database_url: str
) -> None:
    runs = sorted(set(permutations(ACTIONS)))
    for number, run in enumerate(runs):
        order = f"o{number}"
        steps: dict[str, Callable[[], object]] = {
            "created": partial(take, database, created(order, GOOD)),
            "rejected": partial(take, database, rejected(order)),
            "cancelled": partial(take, database, cancelled(order)),
            "charge": partial(process_due_jobs, database, charging_at(gateway)),
            "refund": partial(process_due_jobs, database, refunding.job_queue(gateway)),
        }
        for action in run:
            steps[action]()
        work_all(database, gateway)
    orders = {f"o{number}" for number in range(len(runs))}
    assert {event.subject: 1 for event in pending_events(database, PAYMENT_REFUNDED)} == dict.fromkeys(orders, 1)
    assert len(pending_events(database, PAYMENT_REFUNDED)) == len(runs)
    assert max(Counter(event.subject for event in pending_events(database, PAYMENT_COMPLETED)).values()) == 1
    assert pending_events(database, PAYMENT_FAILED) == []
    assert ledger.net_by_order(database_url) == dict.fromkeys(orders, 0)
    assert {row.state for row in database.execute("SELECT state FROM payment")} == {"REFUNDED"}


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


FAULTS = st.lists(st.sampled_from(Fault), max_size=14)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    faults=st.fixed_dictionaries({"charge": FAULTS, "find": FAULTS, "abandon": FAULTS}),
    card=st.sampled_from([Outcome.APPROVED, Outcome.CARD_DECLINED, Outcome.LOST_ANSWER, Outcome.UNAVAILABLE]),
)
def test_whatever_the_line_does_the_outcome_is_what_the_gateway_has_in_its_books(
    gateway: FlakyGateway, database_url: str, faults: dict[str, list[Fault]], card: Outcome
) -> None:
    line = FlakyGateway(gateway)
    for method, plan in faults.items():
        line.plan(method, *plan)
    order = str(uuid4())
    new = charging.new_job(created(order, token(card)))
    result = None
    for attempt in range(1, 60):
        job = Job("charge", new.id, order, new.payload, None, attempt, attempt - 1, 100.0 * (attempt - 1))
        outcome = charging.call(line, GIVE_UP_AFTER, job)
        if isinstance(outcome, Done):
            result = outcome.result
            break
        assert isinstance(outcome, Retry | Paused)
    assert result is not None
    gateway.charge(new.id, token(Outcome.APPROVED), 2500, "USD")  # a call that was still on its way
    assert ledger.net_by_order(database_url)[order] == (2500 if result["approved"] else 0)


def test_running_workers_charge_and_refund_a_hundred_orders(
    database: Database, gateway: FlakyGateway, database_url: str
) -> None:
    gateway.plan("charge", *[Fault.ANSWER_LOST, Fault.NONE, Fault.NOT_TAKEN, Fault.NONE, Fault.NONE] * 4)
    metrics = Metrics(CollectorRegistry())
    queues = (charging_at(gateway), refunding.job_queue(gateway))
    workers = [Worker(job_queue, database, metrics) for job_queue in queues]
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for thread in threads:
        thread.start()
    orders = [f"o{n}" for n in range(100)]
    deliver(
        database, handlers.order_created, [created(order, GOOD if n % 4 else BAD) for n, order in enumerate(orders)]
    )
    deliver(database, handlers.give_back, [rejected(order) for order in orders[1::4]])
    try:
        eventually(lambda: settled(database) == {"COMPLETED": 50, "FAILED": 25, "REFUNDED": 25}, within=30)
    finally:
        for worker in workers:
            worker.stop()
        for thread in threads:
            thread.join(20)
    net = ledger.net_by_order(database_url)
    assert [net[order] for order in orders] == [0, 0, 2500, 2500] * 25
    assert all(len(charges) == 1 for charges in ledger.charges_by_order(database_url).values())
    assert len(pending_events(database, PAYMENT_REFUNDED)) == 25
    assert all(key == refund_key(order) for key, order in refund_keys(database))


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


def settled(database: Database) -> dict[str, int]:
    return {row.state: row.n for row in database.execute("SELECT state, count(*) AS n FROM payment GROUP BY state")}


def refund_keys(database: Database) -> list[tuple[str, str]]:
    rows = database.execute(
        "SELECT r.key, split_part(c.key, ':', 1) AS order_id FROM gateway_simulator.refund r"
        " JOIN gateway_simulator.charge c ON c.id = r.charge_id"
    )
    return [(row.key, row.order_id) for row in rows]
