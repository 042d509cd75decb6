"""Refunds of confirmed orders, on a real database with the simulator's real ledger: what goes back, and what cannot."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from support.chassis import deliver, pending_events, pending_jobs, process_due_jobs
from support.gateways import Fault, FlakyGateway, token
from support.payments import cancelled, created, refund_requested

from oms_chassis.db import Database
from oms_chassis.jobs.queue import Job, Retry, Unavailable
from oms_contracts import topics
from oms_contracts.envelope import Event
from oms_gateway import requested_refund_key
from oms_payment import handlers, repository, requests
from oms_payment.jobs import charging, refunding, requested
from oms_simulators.payment import ledger
from oms_simulators.payment.testcards import Outcome

GOOD, BAD = token(Outcome.APPROVED), token(Outcome.INSUFFICIENT_FUNDS)
TOTAL = 2500


@pytest.fixture
def charged(database: Database, gateway: FlakyGateway) -> str:
    """An order that was charged."""
    charge(database, gateway, "o1")
    return "o1"


def charge(database: Database, gateway: FlakyGateway, order_id: str, card: str = GOOD) -> None:
    deliver(database, handlers.order_created, [created(order_id, card, TOTAL)])
    process_due_jobs(database, charging.job_queue(gateway, 8, 1800.0, CollectorRegistry()))


def ask(database: Database, *events: Event[Any]) -> None:
    deliver(database, requests.refund_requested, list(events))


def work(database: Database, gateway: FlakyGateway) -> None:
    database.execute("UPDATE job SET run_at = now() WHERE dead_at IS NULL")
    process_due_jobs(database, requested.job_queue(gateway))


def refunds(database: Database) -> dict[str, tuple[str, str | None]]:
    rows = database.execute("SELECT refund_id, state, reason FROM requested_refund")
    return {row.refund_id: (row.state, row.reason) for row in rows}


def given_back(database_url: str) -> list[int]:
    return [one.amount for one in ledger.refunds_by_order(database_url).get("o1", [])]


def outcomes(database: Database) -> list[tuple[str, str, str]]:
    """What was published: the event, the refund, and by what it is called or why it failed."""
    completed = [e.data for e in pending_events(database, topics.REFUND_COMPLETED)]
    failed = [e.data for e in pending_events(database, topics.REFUND_FAILED)]
    return [("completed", one.refund_id, one.reference) for one in completed] + [
        ("failed", one.refund_id, one.reason) for one in failed
    ]


def test_a_part_goes_back_and_the_payment_stays_completed(
    database: Database, gateway: FlakyGateway, charged: str, database_url: str
) -> None:
    ask(database, refund_requested(charged, "r1", 400))
    work(database, gateway)
    assert given_back(database_url) == [400]
    assert repository.states(database, [charged, "r1"]) == {charged: "COMPLETED", "r1": "SUCCEEDED"}
    found = gateway.find_refund(requested_refund_key(charged, "r1"))
    assert found is not None
    assert outcomes(database) == [("completed", "r1", found.id)]
    assert pending_events(database, topics.PAYMENT_REFUNDED) == []


def test_parts_come_to_no_more_than_was_charged(
    database: Database, gateway: FlakyGateway, charged: str, database_url: str
) -> None:
    ask(database, *(refund_requested(charged, f"r{number}", 1000) for number in range(3)))
    ask(database, refund_requested(charged, "rest", 500), refund_requested(charged, "more", 1))
    work(database, gateway)
    assert sorted(given_back(database_url)) == [500, 1000, 1000]
    states = refunds(database)
    assert [states[one][0] for one in ("r0", "r1", "r2", "rest", "more")] == [
        "SUCCEEDED", "SUCCEEDED", "FAILED", "SUCCEEDED", "FAILED",
    ]  # fmt: skip
    assert {reason for state, reason in states.values() if state == "FAILED"} == {"more-than-remains"}


def test_two_consumers_at_once_give_back_no_more_than_was_charged(
    database: Database, gateway: FlakyGateway, charged: str, database_url: str
) -> None:
    barrier = threading.Barrier(4)

    def request(number: int) -> None:
        barrier.wait()
        ask(database, refund_requested(charged, f"r{number}", 1000))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(request, range(4)))
    work(database, gateway)
    assert given_back(database_url) == [1000, 1000]


def test_a_request_that_comes_again_is_not_made_again_and_is_answered_once_it_is_settled(
    database: Database, gateway: FlakyGateway, charged: str, database_url: str
) -> None:
    ask(database, refund_requested(charged, "r1", 400), refund_requested(charged, "r1", 400))
    ask(database, refund_requested(charged, "r1", 400))
    assert (len(pending_jobs(database, requested.QUEUE)), outcomes(database)) == (1, [])
    work(database, gateway)
    ask(database, refund_requested(charged, "r1", 400))
    work(database, gateway)
    assert given_back(database_url) == [400]
    assert [(what, refund) for what, refund, _ in outcomes(database)] == [("completed", "r1")] * 2


def test_what_has_failed_as_far_as_the_order_service_knows_is_answered_as_it_is(
    database: Database, gateway: FlakyGateway, charged: str, client: TestClient, database_url: str
) -> None:
    """It was made once more since, and the event that said so is lost."""
    question = partial(refund_requested, charged, "r1", 400, failed=True)
    ask(database, refund_requested(charged, "other", TOTAL), refund_requested(charged, "r1", 400))
    ask(database, question())
    assert outcomes(database) == [("failed", "r1", "more-than-remains")] * 2
    give_up(database, "other")
    assert client.post(f"/admin/payments/{charged}/resolve", json={"refund": "r1"}).status_code == 200
    database.execute("DELETE FROM outbox")
    ask(database, question())
    assert outcomes(database) == []
    work(database, gateway)
    database.execute("DELETE FROM outbox")
    ask(database, question())
    (event,) = pending_events(database, topics.REFUND_COMPLETED)
    assert (event.data.refund_id, event.data.outcome) == ("r1", 1)
    assert given_back(database_url) == [400]


def test_what_has_failed_as_far_as_the_order_service_knows_is_not_made_if_it_is_not_known(
    database: Database, gateway: FlakyGateway, charged: str, database_url: str
) -> None:
    """As after a restore: another refund may have taken its place."""
    ask(database, refund_requested(charged, "r1", 400, failed=True), refund_requested(charged, "r2", 500))
    work(database, gateway)
    assert (list(refunds(database)), given_back(database_url)) == (["r2"], [500])
    assert [refund for _, refund, _ in outcomes(database)] == ["r2"]


def test_that_a_refund_was_made_is_published_again_for_an_operator(
    database: Database, gateway: FlakyGateway, charged: str, client: TestClient, database_url: str
) -> None:
    ask(database, refund_requested(charged, "r1", 400))
    work(database, gateway)
    first = outcomes(database)
    refused = client.post(f"/admin/payments/{charged}/resolve", json={"refund": "r1", "how": "again"})
    assert (refused.status_code, "published again" in refused.json()["detail"]) == (409, True)
    assert client.post(f"/admin/payments/{charged}/resolve", json={"refund": "r1"}).status_code == 200
    work(database, gateway)
    assert (outcomes(database), given_back(database_url)) == (first * 2, [400])
    assert refunds(database) == {"r1": ("SUCCEEDED", None)}


@pytest.mark.parametrize(
    ("order_id", "currency", "reason"),
    [("unknown", "USD", "not-charged"), ("declined", "USD", "not-charged"), ("o1", "EUR", "another-currency")],
)
def test_what_was_not_charged_is_not_given_back(
    database: Database, gateway: FlakyGateway, charged: str, order_id: str, currency: str, reason: str
) -> None:
    charge(database, gateway, "declined", BAD)
    ask(database, refund_requested(order_id, "r1", 400, currency))
    assert refunds(database) == {"r1": ("FAILED", reason)}
    assert outcomes(database) == [("failed", "r1", reason)]
    assert pending_jobs(database, requested.QUEUE) == []


@pytest.mark.parametrize("fault", [Fault.NOT_TAKEN, Fault.ANSWER_LOST])
def test_a_call_that_goes_wrong_is_made_again_and_moves_the_money_once(
    database: Database, gateway: FlakyGateway, charged: str, database_url: str, fault: Fault
) -> None:
    ask(database, refund_requested(charged, "r1", 400))
    gateway.plan("refund", fault)
    work(database, gateway)
    assert refunds(database) == {"r1": ("PENDING", None)}
    work(database, gateway)
    assert (refunds(database), given_back(database_url)) == ({"r1": ("SUCCEEDED", None)}, [400])


def test_a_gateway_that_is_away_pauses_the_queue_and_one_that_does_not_say_does_not(
    database: Database, gateway: FlakyGateway, charged: str
) -> None:
    (one,) = database.execute("SELECT charge_id FROM payment WHERE order_id = %(id)s", id=charged)
    payload = {"orderId": charged, "refundId": "r1", "amount": 1, "currency": "USD", "chargeId": one.charge_id}
    job = Job(requested.QUEUE, requested_refund_key(charged, "r1"), charged, payload, None, 1)
    gateway.plan("refund", Fault.NOT_TAKEN, Fault.ANSWER_LOST)
    assert isinstance(requested.call(gateway, job), Unavailable)
    second = requested.call(gateway, job)
    assert isinstance(second, Retry)
    assert not isinstance(second, Unavailable)


def test_a_refund_that_is_found_under_the_key_with_another_amount_is_not_taken_for_this_one(
    database: Database, gateway: FlakyGateway, charged: str
) -> None:
    """As where a database was restored, or two installations share an account."""
    (one,) = database.execute("SELECT charge_id FROM payment WHERE order_id = %(id)s", id=charged)
    gateway.refund(requested_refund_key(charged, "r1"), one.charge_id, 1)
    ask(database, refund_requested(charged, "r1", 400))
    database.execute("UPDATE job SET attempts = 1")
    work(database, gateway)
    assert refunds(database) == {"r1": ("FAILED", "gateway-refused")}


def refuse(database: Database, gateway: FlakyGateway, charged: str) -> None:
    """A refund that the gateway refuses: somebody gave it all back in the gateway's own pages."""
    (one,) = database.execute("SELECT charge_id FROM payment WHERE order_id = %(id)s", id=charged)
    gateway.refund("by hand", one.charge_id, TOTAL)
    ask(database, refund_requested(charged, "r1", 400))
    work(database, gateway)


def give_up(database: Database, refund_id: str) -> None:
    """Let a refund that is still to be made have failed."""
    sql = "UPDATE requested_refund SET state = 'FAILED', reason = 'gateway-refused' WHERE refund_id = %(id)s"
    database.execute(sql, id=refund_id)
    database.execute("DELETE FROM job")


def test_what_the_gateway_refuses_has_failed_for_a_reason_that_an_operator_sees(
    database: Database, gateway: FlakyGateway, charged: str, client: TestClient
) -> None:
    refuse(database, gateway, charged)
    assert outcomes(database) == [("failed", "r1", "gateway-refused")]
    charge(database, gateway, "o2")
    ask(database, refund_requested("o2", "r2", 1))
    work(database, gateway)
    (listed,) = client.get("/admin/payments").json()
    assert (listed["orderId"], listed["state"]) == (charged, "COMPLETED")
    assert [(one["refundId"], one["state"], one["reason"]) for one in listed["refunds"]] == [
        ("r1", "FAILED", "gateway-refused")
    ]
    assert len(client.get("/admin/payments?reason=gateway-refused").json()) == 1
    assert client.get("/admin/payments?reason=another").json() == []
    assert client.get(f"/admin/payments/{charged}").json()["refunds"] == listed["refunds"]


def test_a_refund_that_failed_is_noted_as_made_by_another_way(
    database: Database, gateway: FlakyGateway, charged: str, client: TestClient
) -> None:
    refuse(database, gateway, charged)
    body = {"how": "was-refunded", "reference": "bank transfer 17"}
    dry = client.post(f"/admin/payments/{charged}/resolve", json=body, headers={"OMS-Dry-Run": "true"})
    assert (dry.json()["refunds"][0]["state"], refunds(database)["r1"][0]) == ("SUCCEEDED", "FAILED")
    assert client.post(f"/admin/payments/{charged}/resolve", json=body).status_code == 200
    assert outcomes(database)[0] == ("completed", "r1", "bank transfer 17")
    assert client.get("/admin/payments").json() == []
    (entry,) = client.get("/admin/audit").json()
    assert (entry["before"]["refunds"], entry["after"]["refunds"]) == ({"r1": "FAILED"}, {"r1": "SUCCEEDED"})
    again = client.post(f"/admin/payments/{charged}/resolve", json={**body, "refund": "r1"})
    assert (again.status_code, again.json()["type"]) == (409, "/problems/refund-settled")


def test_a_refund_that_is_still_tried_is_noted_and_the_gateway_no_longer_asked(
    database: Database, gateway: FlakyGateway, charged: str, client: TestClient, database_url: str
) -> None:
    ask(database, refund_requested(charged, "r1", 400), refund_requested(charged, "r2", 500))
    body = {"how": "was-refunded", "reference": "17", "refund": "r1"}
    assert client.post(f"/admin/payments/{charged}/resolve", json=body).status_code == 200
    work(database, gateway)
    assert given_back(database_url) == [500]
    assert {refund for _, refund, _ in outcomes(database)} == {"r1", "r2"}


def test_a_refund_that_failed_is_tried_again_unless_too_little_is_left(
    database: Database, gateway: FlakyGateway, charged: str, client: TestClient, database_url: str
) -> None:
    ask(database, refund_requested(charged, "r1", TOTAL), refund_requested(charged, "r2", 400))
    assert refunds(database)["r2"] == ("FAILED", "more-than-remains")
    path = f"/admin/payments/{charged}/resolve"
    refused = client.post(path, json={"refund": "r2"})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/refund-too-large")
    give_up(database, "r1")
    assert client.post(path, json={"refund": "r2"}).status_code == 200
    assert refunds(database)["r2"] == ("PENDING", None)
    work(database, gateway)
    assert (refunds(database)["r2"], given_back(database_url)) == (("SUCCEEDED", None), [400])


def test_a_refund_that_failed_is_no_longer_listed_once_another_has_taken_its_place(
    database: Database, gateway: FlakyGateway, charged: str, client: TestClient
) -> None:
    ask(database, refund_requested(charged, "r1", TOTAL))
    give_up(database, "r1")
    assert [one["orderId"] for one in client.get("/admin/payments").json()] == [charged]
    ask(database, refund_requested(charged, "r2", TOTAL))
    work(database, gateway)
    assert {name: state for name, (state, _) in refunds(database).items()} == {"r1": "FAILED", "r2": "SUCCEEDED"}
    assert client.get("/admin/payments").json() == []


def test_a_refund_that_waits_is_asked_about_at_once(
    database: Database, gateway: FlakyGateway, charged: str, client: TestClient, database_url: str
) -> None:
    ask(database, refund_requested(charged, "r1", 400))
    gateway.plan("refund", Fault.ANSWER_LOST)
    work(database, gateway)
    assert client.post(f"/admin/payments/{charged}/resolve", json={}).status_code == 200
    process_due_jobs(database, requested.job_queue(gateway))
    assert (refunds(database)["r1"][0], given_back(database_url)) == ("SUCCEEDED", [400])


NOTED = {"how": "was-refunded", "reference": "bank transfer 17"}


def note(client: TestClient, order_id: str) -> None:
    assert client.post(f"/admin/payments/{order_id}/resolve", json={**NOTED, "refund": "r1"}).status_code == 200


def settle(database: Database, gateway: FlakyGateway) -> int:
    """Make the calls that are due; how many refunds are found to be given twice."""
    database.execute("UPDATE job SET run_at = now()")
    found: list[None] = []
    process_due_jobs(database, requested.job_queue(gateway, lambda: found.append(None)))
    return len(found)


@pytest.mark.parametrize(("fault", "given", "twice"), [(Fault.ANSWER_LOST, [400], 1), (Fault.NOT_TAKEN, [], 0)])
def test_what_was_noted_while_the_outcome_of_a_call_is_unknown_is_found_out(
    database: Database, gateway: FlakyGateway, charged: str, client: TestClient, database_url: str,
    fault: Fault, given: list[int], twice: int,
) -> None:  # fmt: skip
    ask(database, refund_requested(charged, "r1", 400))
    gateway.plan("refund", fault)
    work(database, gateway)
    note(client, charged)
    assert settle(database, gateway) == twice
    assert given_back(database_url) == given  # the gateway was asked, and made nothing more
    assert refunds(database) == {"r1": ("SUCCEEDED", None)}
    assert outcomes(database) == [("completed", "r1", "bank transfer 17")]
    assert pending_jobs(database, requested.QUEUE) == []


def test_a_call_that_is_under_way_while_its_refund_is_noted_is_found_out(
    database: Database, gateway: FlakyGateway, charged: str, client: TestClient
) -> None:
    ask(database, refund_requested(charged, "r1", 400))
    found: list[None] = []
    queue = requested.job_queue(gateway, lambda: found.append(None))

    def call(job: Job) -> Any:
        note(client, charged)
        return queue.call(job)

    process_due_jobs(database, replace(queue, call=call))
    assert (len(found), refunds(database)) == (1, {"r1": ("SUCCEEDED", None)})


def test_a_refund_that_was_noted_by_the_gateway_s_own_id_is_not_given_twice(
    database: Database, gateway: FlakyGateway, charged: str, client: TestClient
) -> None:
    ask(database, refund_requested(charged, "r1", 400))
    gateway.plan("refund", Fault.ANSWER_LOST)
    work(database, gateway)
    made = gateway.find_refund(requested_refund_key(charged, "r1"))
    assert made is not None
    body = {"how": "was-refunded", "reference": made.id, "refund": "r1"}
    assert client.post(f"/admin/payments/{charged}/resolve", json=body).status_code == 200
    assert settle(database, gateway) == 0


def test_a_reference_holds_no_address(database: Database, charged: str, client: TestClient) -> None:
    """The reference is stored for good, in an audit log that nobody can erase."""
    ask(database, refund_requested(charged, "r1", 400))
    body = {"how": "was-refunded", "reference": "to ann@example.com", "refund": "r1"}
    refused = client.post(f"/admin/payments/{charged}/resolve", json=body)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "reference")
    assert "ann@" not in refused.text


@pytest.mark.parametrize(
    ("body", "problem"),
    [({"refund": "r9"}, "no-such-refund"), ({"refund": "r1", "how": "close"}, "nothing-to-close"),
     ({}, "payment-settled")],
)  # fmt: skip
def test_what_cannot_be_done_about_a_refund_is_refused(
    database: Database, charged: str, client: TestClient, body: dict[str, str], problem: str
) -> None:
    ask(database, refund_requested(charged, "r1", 400), refund_requested(charged, "r2", 400))
    assert client.post(f"/admin/payments/{charged}/resolve", json=body).json()["type"] == f"/problems/{problem}"


def test_an_order_that_is_cancelled_all_the_same_gets_back_the_rest_and_no_more(
    database: Database, gateway: FlakyGateway, charged: str, database_url: str
) -> None:
    """As by the release before, which knows of no refunds, while both run."""
    ask(database, refund_requested(charged, "r1", 400))
    work(database, gateway)
    ask(database, refund_requested(charged, "r2", 300))
    deliver(database, handlers.give_back, [cancelled(charged, TOTAL)])
    process_due_jobs(database, refunding.job_queue(gateway))
    work(database, gateway)
    assert sum(given_back(database_url)) == TOTAL
    assert refunds(database)["r2"] == ("FAILED", "gateway-refused")
    ask(database, refund_requested(charged, "r3", 1))
    assert refunds(database)["r3"] == ("FAILED", "not-charged")
