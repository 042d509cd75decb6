"""What the service does with events, on a real database; the calls that follow are in the tests of the workers."""

import json

from support.chassis import deliver, pending_events, pending_jobs
from support.payments import TRACE, begin_charges, cancelled, created, rejected

from oms_chassis.db import Database
from oms_payment import handlers


def states(database: Database) -> dict[str, str]:
    return {row.order_id: row.state for row in database.execute("SELECT order_id, state FROM payment")}


def test_each_order_gets_a_payment_and_a_job_to_charge_it(database: Database) -> None:
    deliver(database, handlers.order_created, [created("o1", "token-1"), created("o2", "token-2", total=10)])
    assert states(database) == {"o1": "PENDING", "o2": "PENDING"}
    charges = {job.id: job for job in pending_jobs(database, "charge")}
    assert set(charges) == {"o1:charge", "o2:charge"}
    payload = charges["o2:charge"].payload
    assert (payload["token"], payload["total"], payload["currency"]) == ("token-2", 10, "USD")
    assert payload["customer"]["email"] == "ada@example.com"
    assert charges["o2:charge"].traceparent == TRACE


def test_a_job_holds_the_card_as_its_token_alone(database: Database) -> None:
    deliver(database, handlers.order_created, [created("o1", "token-1")])
    payload = json.dumps(dict(pending_jobs(database, "charge")[0].payload))
    assert "last4" not in payload
    assert "12/34" not in payload


def test_an_order_that_comes_again_under_another_event_id_is_not_charged_again(database: Database) -> None:
    deliver(database, handlers.order_created, [created("o1", "token-1"), created("o1", "token-1")])
    deliver(database, handlers.order_created, [created("o1", "token-1")])
    assert len(pending_jobs(database, "charge")) == 1


def test_a_rejection_of_an_order_being_charged_waits_for_the_charge(database: Database) -> None:
    deliver(database, handlers.order_created, [created("o1", "token-1")])
    begin_charges(database)
    deliver(database, handlers.give_back, [rejected("o1")])
    assert states(database) == {"o1": "REFUNDING"}
    assert pending_jobs(database, "refund") == []


def test_a_rejection_of_a_paid_order_has_its_charge_refunded(database: Database) -> None:
    deliver(database, handlers.order_created, [created("o1", "token-1")])
    with database.transaction() as transaction:
        transaction.execute("UPDATE payment SET state = 'COMPLETED', charge_id = 'ch-1'")
    deliver(database, handlers.give_back, [rejected("o1")])
    (job,) = pending_jobs(database, "refund")
    assert (job.id, job.subject, job.traceparent) == ("o1:refund", "o1", TRACE)
    assert job.payload == {"orderId": "o1", "total": 2500, "currency": "USD", "chargeId": "ch-1"}


def test_a_rejection_of_an_unknown_order_keeps_it_from_ever_being_charged(database: Database) -> None:
    deliver(database, handlers.give_back, [rejected("o1")])
    deliver(database, handlers.order_created, [created("o1", "token-1")])
    assert states(database) == {"o1": "REFUNDING"}
    assert pending_jobs(database, "charge") == []
    assert [job.payload["chargeId"] for job in pending_jobs(database, "refund")] == [None]


def test_a_rejection_that_comes_again_changes_nothing(database: Database) -> None:
    deliver(database, handlers.give_back, [rejected("o1"), rejected("o1"), rejected("o2")])
    deliver(database, handlers.give_back, [rejected("o1")])
    assert len(pending_jobs(database, "refund")) == 2


def test_a_rejection_of_a_failed_payment_changes_nothing(database: Database) -> None:
    deliver(database, handlers.order_created, [created("o1", "token-1")])
    with database.transaction() as transaction:
        transaction.execute("UPDATE payment SET state = 'FAILED'")
    deliver(database, handlers.give_back, [rejected("o1")])
    assert states(database) == {"o1": "FAILED"}
    assert pending_jobs(database, "refund") == []


def test_handlers_publish_nothing_yet(database: Database) -> None:
    deliver(database, handlers.order_created, [created("o1", "token-1")])
    deliver(database, handlers.give_back, [rejected("o1"), rejected("o2")])
    assert pending_events(database) == []


def test_a_cancelled_order_whose_charge_was_not_begun_is_never_charged(database: Database) -> None:
    deliver(database, handlers.order_created, [created("o1", "token-1"), created("o2", "token-2")])
    deliver(database, handlers.give_back, [cancelled("o1")])
    assert states(database) == {"o1": "REFUNDING", "o2": "PENDING"}
    assert [job.subject for job in pending_jobs(database, "charge")] == ["o2"]
    assert [(job.subject, job.payload["chargeId"]) for job in pending_jobs(database, "refund")] == [("o1", None)]


def test_a_cancelled_order_that_is_being_charged_waits_for_the_charge(database: Database) -> None:
    deliver(database, handlers.order_created, [created("o1", "token-1")])
    begin_charges(database)
    deliver(database, handlers.give_back, [cancelled("o1")])
    assert states(database) == {"o1": "REFUNDING"}
    assert [job.subject for job in pending_jobs(database, "charge")] == ["o1"]
    assert pending_jobs(database, "refund") == []


def test_an_order_that_is_cancelled_before_it_arrives_is_never_charged(database: Database) -> None:
    deliver(database, handlers.give_back, [cancelled("o1")])
    deliver(database, handlers.order_created, [created("o1", "token-1")])
    assert pending_jobs(database, "charge") == []
    assert [job.payload["chargeId"] for job in pending_jobs(database, "refund")] == [None]


def test_an_order_that_is_both_cancelled_and_rejected_is_refunded_once(database: Database) -> None:
    deliver(database, handlers.order_created, [created("o1", "token-1"), created("o2", "token-2")])
    with database.transaction() as transaction:
        transaction.execute("UPDATE payment SET state = 'COMPLETED', charge_id = order_id")
    deliver(database, handlers.give_back, [cancelled("o1"), cancelled("o1")])
    deliver(database, handlers.give_back, [rejected("o1"), rejected("o2")])
    deliver(database, handlers.give_back, [cancelled("o2")])
    assert sorted(job.subject for job in pending_jobs(database, "refund")) == ["o1", "o2"]


def test_whoever_asks_again_what_became_of_a_cancelled_order_is_answered_if_it_has_ended(database: Database) -> None:
    orders = [created(name, "token") for name in ("refunded", "uncharged", "declined", "refunding")]
    deliver(database, handlers.order_created, orders)
    begin_charges(database)
    for name, state, charge, refund in (
        ("refunded", "REFUNDED", "ch-1", "re-1"),
        ("uncharged", "REFUNDED", None, "none"),
        ("declined", "FAILED", None, None),
        ("refunding", "REFUNDING", "ch-2", None),
    ):
        database.execute(
            "UPDATE payment SET state = %(state)s, charge_id = %(charge)s, refund_id = %(refund)s"
            " WHERE order_id = %(id)s",
            state=state,
            charge=charge,
            refund=refund,
            id=name,
        )
    deliver(database, handlers.give_back, [cancelled(event.subject) for event in orders])
    assert pending_events(database) == []
    deliver(database, handlers.give_back, [cancelled(event.subject, again=True) for event in orders])
    assert {(event.subject, event.type, getattr(event.data, "amount", None)) for event in pending_events(database)} == {
        ("refunded", "paymentRefundedEvent", 2500),
        ("uncharged", "paymentRefundedEvent", 0),
        ("declined", "paymentFailedEvent", None),
    }
    assert pending_jobs(database, "refund") == []
