"""Refunds that had succeeded and fail later, as when a bank sends the money back: on a real database and ledger."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.exc import DataError
from starlette.testclient import TestClient
from support.chassis import deliver, pending_events, process_due_jobs
from support.gateways import Fault, FlakyGateway, token
from support.payments import cancelled, created, refund_requested, rejected

from oms_chassis import retention
from oms_chassis.db import Database
from oms_contracts.topics import PAYMENT_REFUNDED, REFUND_COMPLETED, REFUND_FAILED
from oms_gateway import FailedRefund, GatewayUnavailable, charge_key
from oms_payment import failed_refunds, handlers, repository, requests, retentions
from oms_payment.jobs import charging, refunding, requested
from oms_simulators.payment import gateway as simulator
from oms_simulators.payment import ledger
from oms_simulators.payment.testcards import Outcome

TOTAL = 2500
OLD = "018cc251-f400-7000-8000-000000000001"  # an id of the first of January 2024
FAILED = "oms_payment_compensations_failed_total"


@pytest.fixture(autouse=True)
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refund has succeeded until a test lets it fail."""
    monkeypatch.setattr(simulator, "REFUND_SECONDS", 3600.0)


@pytest.fixture
def charged(database: Database, gateway: FlakyGateway) -> str:
    """An order that is paid by a card whose refunds fail later."""
    return charge(database, gateway, "o1")


def charge(database: Database, gateway: FlakyGateway, order: str) -> str:
    deliver(database, handlers.order_created, [created(order, token(Outcome.REFUND_FAILS_LATER), TOTAL)])
    process_due_jobs(database, charging.job_queue(gateway, 8, 1800.0, CollectorRegistry()))
    return order


def give(database: Database, gateway: FlakyGateway, order: str) -> None:
    deliver(database, requests.refund_requested, [refund_requested(order, "r1", 400)])
    process_due_jobs(database, requested.job_queue(gateway))
    assert refund(database) == ("SUCCEEDED", None, 1)


@pytest.fixture
def compensated(database: Database, gateway: FlakyGateway, charged: str) -> str:
    """And that is cancelled, and has its money back."""
    deliver(database, handlers.give_back, [rejected(charged)])
    process_due_jobs(database, refunding.job_queue(gateway))
    assert payment(database) == ("REFUNDED", None)
    return charged


@pytest.fixture
def refunded(database: Database, gateway: FlakyGateway, charged: str) -> str:
    """Or of which a part was given back."""
    give(database, gateway, charged)
    return charged


def let_refunds_fail(database: Database) -> None:
    database.execute(
        "UPDATE gateway_simulator.refund SET ends_at = now() - interval '1 second' WHERE status = 'failed'"
    )


def look(database: Database, gateway: FlakyGateway, registry: CollectorRegistry | None = None) -> None:
    failures = refunding.failures(registry or CollectorRegistry())
    for _ in range(2):  # as each replica does, again and again
        failed_refunds.task(gateway, database, 300.0, failures.inc).call()


def payment(database: Database) -> tuple[str, str | None]:
    (row,) = database.execute("SELECT state, reason FROM payment")
    return row.state, row.reason


def refund(database: Database) -> tuple[str, str | None, int]:
    (row,) = database.execute("SELECT state, reason, outcome FROM requested_refund WHERE refund_id = 'r1'")
    return row.state, row.reason, row.outcome


def failures(database: Database) -> list[tuple[str, int, str, int | None]]:
    found = [event.data for event in pending_events(database, REFUND_FAILED)]
    return [(one.refund_id, one.amount, one.reason, one.outcome) for one in found]


def resolve(client: TestClient, **how: Any) -> None:
    assert client.post("/admin/payments/o1/resolve", json=how).status_code == 200


def make_the_next_succeed(database: Database) -> None:
    database.execute("UPDATE gateway_simulator.refund SET status = 'succeeded' WHERE key LIKE '%%~2'")


def make_once_more(database: Database, gateway: FlakyGateway, client: TestClient) -> None:
    let_refunds_fail(database)
    look(database, gateway)
    resolve(client)
    process_due_jobs(database, refunding.job_queue(gateway))
    make_the_next_succeed(database)
    assert payment(database) == ("REFUNDED", None)


def lose_events(database: Database) -> None:
    database.execute("DELETE FROM outbox")


def test_what_has_not_failed_is_left_alone(database: Database, gateway: FlakyGateway, compensated: str) -> None:
    look(database, gateway)
    assert (payment(database), failures(database)) == (("REFUNDED", None), [])


def test_the_money_of_a_cancelled_order_that_is_sent_back_is_published_and_counted_once(
    database: Database, gateway: FlakyGateway, registry: CollectorRegistry, client: TestClient, compensated: str
) -> None:
    let_refunds_fail(database)
    look(database, gateway, registry)
    assert payment(database) == ("REFUNDING", "refund-failed")
    assert failures(database) == [(compensated, TOTAL, "gateway-failed", 2)]
    assert registry.get_sample_value(FAILED) == 1.0
    (listed,) = client.get("/admin/payments?reason=refund-failed").json()
    assert (listed["orderId"], listed["state"]) == (compensated, "REFUNDING")


def test_one_that_the_database_cannot_hold_keeps_no_other_from_being_found(
    database: Database, gateway: FlakyGateway, compensated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_refunds_fail(database)
    listed = [FailedRefund("\0", "\0", "", 1, "USD"), *gateway.failed_refunds(30)]
    monkeypatch.setattr(gateway, "failed_refunds", lambda _: listed)
    with pytest.raises(DataError):  # and the task has failed, which is counted
        look(database, gateway)
    assert failures(database) == [(compensated, TOTAL, "gateway-failed", 2)]


def test_a_payment_that_somebody_holds_keeps_no_other_from_being_found(
    database: Database, gateway: FlakyGateway, compensated: str
) -> None:
    give(database, gateway, charge(database, gateway, "o2"))
    let_refunds_fail(database)
    with database.transaction() as other:
        other.execute("SELECT 1 FROM payment WHERE order_id = 'o1' FOR UPDATE")
        look(database, gateway)
        assert failures(database) == [("r1", 400, "gateway-failed", 2)]
    look(database, gateway)
    assert [one[0] for one in failures(database)] == ["r1", compensated]


def test_an_operator_has_it_made_once_more_and_the_order_is_notified(
    database: Database, gateway: FlakyGateway, client: TestClient, compensated: str, database_url: str
) -> None:
    make_once_more(database, gateway, client)
    look(database, gateway)
    assert payment(database) == ("REFUNDED", None)
    assert ledger.net_by_order(database_url) == {compensated: 0}
    assert {event.id for event in pending_events(database, PAYMENT_REFUNDED)} == {"o1:paymentRefundedEvent"}
    (event,) = pending_events(database, REFUND_COMPLETED)
    assert (event.data.refund_id, event.data.amount) == (compensated, TOTAL)
    numbers = [*(one[3] for one in failures(database)), event.data.outcome]
    assert numbers == sorted({*numbers}) == [2, 3]  # 1: it succeeded at first


def test_that_it_was_made_once_more_is_published_again_for_an_order_that_has_not_received_it(
    database: Database, gateway: FlakyGateway, client: TestClient, compensated: str
) -> None:
    make_once_more(database, gateway, client)
    lose_events(database)
    deliver(database, handlers.give_back, [cancelled(compensated, again=True)])
    (refunded,) = pending_events(database, PAYMENT_REFUNDED)
    assert refunded.id != "o1:paymentRefundedEvent"  # a reader that has had it drops it
    (event,) = pending_events(database, REFUND_COMPLETED)
    assert (event.data.refund_id, event.data.amount, event.data.outcome) == (compensated, TOTAL, 3)
    assert event.data.reference == refunded.data.refund_id


def test_an_operator_has_it_published_again_for_an_order_that_is_cancelled_and_asks_no_more(
    database: Database, gateway: FlakyGateway, client: TestClient, compensated: str
) -> None:
    make_once_more(database, gateway, client)
    lose_events(database)
    resolve(client)
    (event,) = pending_events(database, REFUND_COMPLETED)
    assert (event.data.refund_id, event.data.amount, event.data.outcome) == (compensated, TOTAL, 3)
    refused = client.post("/admin/payments/o1/resolve", json={"how": "again"})
    assert refused.json()["type"] == "/problems/payment-settled"


def test_that_it_has_failed_is_published_again_for_an_order_that_has_not_received_it(
    database: Database, gateway: FlakyGateway, compensated: str
) -> None:
    let_refunds_fail(database)
    look(database, gateway)
    lose_events(database)
    deliver(database, handlers.give_back, [cancelled(compensated, again=True)])
    assert failures(database) == [(compensated, TOTAL, "gateway-failed", 2)]
    assert len(pending_events(database)) == 1


def test_a_refund_that_never_failed_is_answered_by_what_was_published_of_it(
    database: Database, compensated: str
) -> None:
    lose_events(database)
    deliver(database, handlers.give_back, [cancelled(compensated, again=True)])
    assert [event.type for event in pending_events(database)] == [PAYMENT_REFUNDED.name]


def test_an_operator_notes_that_it_went_back_by_another_way_and_the_order_is_notified(
    database: Database, gateway: FlakyGateway, client: TestClient, compensated: str
) -> None:
    let_refunds_fail(database)
    look(database, gateway)
    resolve(client, how="was-refunded", reference="bank transfer 17")
    (event,) = pending_events(database, REFUND_COMPLETED)
    assert (event.data.refund_id, event.data.reference) == (compensated, "bank transfer 17")
    assert event.data.outcome == 3
    look(database, gateway)
    assert payment(database) == ("REFUNDED", None)


def test_an_operator_notes_another_way_while_it_is_made_once_more_and_the_order_is_notified(
    database: Database, gateway: FlakyGateway, client: TestClient, compensated: str
) -> None:
    let_refunds_fail(database)
    look(database, gateway)
    resolve(client, how="again")
    resolve(client, how="was-refunded", reference="bank transfer 17")
    (event,) = pending_events(database, REFUND_COMPLETED)
    assert (event.data.refund_id, event.data.reference) == (compensated, "bank transfer 17")
    assert payment(database) == ("REFUNDED", None)


def test_a_requested_refund_that_is_sent_back_has_failed_and_leaves_room_for_another(
    database: Database, gateway: FlakyGateway, refunded: str, database_url: str
) -> None:
    let_refunds_fail(database)
    look(database, gateway)
    assert refund(database) == ("FAILED", "gateway-failed", 2)
    assert failures(database) == [("r1", 400, "gateway-failed", 2)]
    assert ledger.net_by_order(database_url) == {refunded: TOTAL}
    deliver(database, requests.refund_requested, [refund_requested(refunded, "r2", TOTAL)])
    assert len(failures(database)) == 1


def test_outcomes_of_a_requested_refund_are_numbered_in_their_order(
    database: Database, gateway: FlakyGateway, client: TestClient, refunded: str
) -> None:
    let_refunds_fail(database)
    look(database, gateway)
    resolve(client, refund="r1")
    process_due_jobs(database, requested.job_queue(gateway))
    make_the_next_succeed(database)
    look(database, gateway)
    assert refund(database) == ("SUCCEEDED", None, 3)
    assert [event.data.outcome for event in pending_events(database, REFUND_COMPLETED)] == [1, 3]
    deliver(database, requests.refund_requested, [refund_requested(refunded, "r1", 400)])  # asked again: answered again
    assert [event.data.outcome for event in pending_events(database, REFUND_COMPLETED)] == [1, 3, 3]


def test_what_an_operator_noted_as_given_by_another_way_has_not_failed(
    database: Database, gateway: FlakyGateway, client: TestClient, charged: str
) -> None:
    deliver(database, requests.refund_requested, [refund_requested(charged, "r1", 400)])
    gateway.plan("refund", Fault.ANSWER_LOST)
    process_due_jobs(database, requested.job_queue(gateway))
    resolve(client, how="was-refunded", reference="bank transfer 17", refund="r1")
    let_refunds_fail(database)
    look(database, gateway)
    assert refund(database)[0] == "SUCCEEDED"


def test_those_of_another_installation_and_those_made_by_hand_hold_nobody_up(
    database: Database, gateway: FlakyGateway, refunded: str
) -> None:
    other = gateway.charge(charge_key("another-installation-s"), token(Outcome.REFUND_FAILS_LATER), 700, "USD")
    gateway.refund("by-hand", other.id, 700)
    let_refunds_fail(database)
    look(database, gateway)
    assert failures(database) == [("r1", 400, "gateway-failed", 2)]


def test_a_payment_of_a_later_release_holds_nobody_else_s_failed_refunds_up(
    database: Database, gateway: FlakyGateway, refunded: str
) -> None:
    compensated = charge(database, gateway, "o2")
    deliver(database, handlers.give_back, [rejected(compensated)])
    process_due_jobs(database, refunding.job_queue(gateway))
    database.execute("ALTER TABLE payment DROP CONSTRAINT payment_state")
    database.execute("UPDATE payment SET state = 'PARTLY_REFUNDED' WHERE order_id = %(id)s", id=refunded)
    let_refunds_fail(database)
    look(database, gateway)
    assert sorted(failures(database)) == [
        (compensated, TOTAL, "gateway-failed", 2),
        ("r1", 400, "gateway-failed", 2),
    ]
    assert repository.states(database, [refunded, compensated]) == {"o1": "PARTLY_REFUNDED", "o2": "REFUNDING"}


def looks_since_it_failed(database: Database, looks: int) -> None:
    sql = "UPDATE requested_refund SET updated_at = now() - make_interval(secs => %(seconds)s)"
    database.execute(sql, seconds=300.0 * looks + 1)


def test_that_a_requested_refund_was_sent_back_is_published_again_ever_more_rarely(
    database: Database, gateway: FlakyGateway, refunded: str
) -> None:
    """The order service no longer asks about a refund that has succeeded, and the event of its failure may be lost."""
    let_refunds_fail(database)
    look(database, gateway)
    again = []
    for looks in range(20):
        looks_since_it_failed(database, looks)
        lose_events(database)
        failed_refunds.task(gateway, database, 300.0, lambda: None).call()
        if found := failures(database):
            assert found == [("r1", 400, "gateway-failed", 2)]
            again.append(looks)
    assert again == [1, 2, 4, 8, 16]


def test_that_it_was_sent_back_is_published_again_while_the_gateway_is_away(
    database: Database, gateway: FlakyGateway, refunded: str
) -> None:
    let_refunds_fail(database)
    look(database, gateway)
    looks_since_it_failed(database, 1)
    lose_events(database)
    gateway.plan("failed_refunds", Fault.NOT_TAKEN)
    with pytest.raises(GatewayUnavailable):
        look(database, gateway)
    assert failures(database) == [("r1", 400, "gateway-failed", 2)]


def test_what_has_failed_at_once_is_not_published_again_since_the_order_asks_for_it(
    database: Database, gateway: FlakyGateway, charged: str
) -> None:
    deliver(database, requests.refund_requested, [refund_requested(charged, "r1", TOTAL + 1)])
    looks_since_it_failed(database, 1)
    lose_events(database)
    look(database, gateway)
    assert failures(database) == []


def test_a_gateway_that_is_away_is_asked_again(database: Database, gateway: FlakyGateway, refunded: str) -> None:
    let_refunds_fail(database)
    gateway.plan("failed_refunds", Fault.NOT_TAKEN)
    with pytest.raises(GatewayUnavailable):
        look(database, gateway)
    look(database, gateway)
    assert refund(database)[0] == "FAILED"


def test_an_old_payment_of_which_something_was_refunded_of_late_stays_and_what_is_sent_back_is_noticed(
    database: Database, gateway: FlakyGateway
) -> None:
    give(database, gateway, charge(database, gateway, OLD))
    database.execute("UPDATE payment SET updated_at = now() - interval '33 days'")
    (payments,) = retentions.payments(31.0)
    retention.prune(database, payments)
    let_refunds_fail(database)
    look(database, gateway)
    assert refund(database) == ("FAILED", "gateway-failed", 2)
    assert failures(database) == [("r1", 400, "gateway-failed", 2)]
