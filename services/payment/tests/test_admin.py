"""What operators do about payments, on a real database with the simulator's real ledger."""

import json
from typing import Any

from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from support.admin import faults
from support.chassis import deliver, pending_events, pending_jobs, process_due_jobs
from support.gateways import Fault, FlakyGateway, token
from support.payments import created, rejected

from oms_chassis.db import Database
from oms_contracts.topics import PAYMENT_FAILED, PAYMENT_REFUNDED
from oms_gateway import charge_key, refund_key
from oms_payment import admin, handlers, repository
from oms_payment.jobs import charging, refunding
from oms_simulators.payment.testcards import Outcome

GOOD = token(Outcome.APPROVED)


def charge(database: Database, gateway: FlakyGateway) -> None:
    process_due_jobs(database, charging.job_queue(gateway, 8, 1800.0, CollectorRegistry()))


def refund(database: Database, gateway: FlakyGateway) -> None:
    process_due_jobs(database, refunding.job_queue(gateway))


def resolve(client: TestClient, **how: str) -> Any:
    return client.post("/admin/payments/o1/resolve", json=how)


def failing_refund(database: Database, gateway: FlakyGateway) -> None:
    deliver(database, handlers.order_created, [created("o1", GOOD)])
    charge(database, gateway)
    deliver(database, handlers.give_back, [rejected("o1")])
    gateway.plan("refund", Fault.NOT_TAKEN)
    refund(database, gateway)


def test_payments_that_are_open_are_listed_by_page(client: TestClient, database: Database) -> None:
    deliver(database, handlers.order_created, [created(f"o{number}", GOOD) for number in range(3)])
    database.execute("UPDATE payment SET state = 'FAILED' WHERE order_id = 'o1'")
    page = client.get("/admin/payments?limit=1")
    assert [one["orderId"] for one in page.json()] == ["o0"]
    assert [one["orderId"] for one in client.get(page.links["next"]["url"]).json()] == ["o2"]
    assert [one["orderId"] for one in client.get("/admin/payments?state=FAILED").json()] == ["o1"]


def test_a_payment_is_shown_with_its_calls_and_without_the_card_s_token(client: TestClient, database: Database) -> None:
    deliver(database, handlers.order_created, [created("o1", GOOD)])
    shown = client.get("/admin/payments/o1")
    assert [(job["queue"], job["state"]) for job in shown.json()["jobs"]] == [("charge", "waiting")]
    assert GOOD not in shown.text
    assert client.get("/admin/payments/none").status_code == 404


def test_a_payment_that_an_outage_left_open_is_asked_about_at_once(
    client: TestClient, database: Database, gateway: FlakyGateway
) -> None:
    deliver(database, handlers.order_created, [created("o1", GOOD)])
    gateway.plan("charge", Fault.ANSWER_LOST)
    charge(database, gateway)
    charge(database, gateway)
    assert repository.states(database, ["o1"]) == {"o1": "PENDING"}
    assert resolve(client).status_code == 200
    charge(database, gateway)
    assert repository.states(database, ["o1"]) == {"o1": "COMPLETED"}


def test_a_payment_whose_outcome_could_not_be_written_is_settled_once_it_can_be(
    client: TestClient, database: Database, gateway: FlakyGateway
) -> None:
    deliver(database, handlers.order_created, [created("o1", GOOD)])
    outcome = json.dumps({"result": {"approved": True, "charge_id": "ch-1", "reason": None}, "failures": 500})
    database.execute(
        "UPDATE job SET dead_at = now(), run_at = 'infinity', attempts = 1, outcome = %(outcome)s::jsonb",
        outcome=outcome,
    )
    assert resolve(client).status_code == 200
    charge(database, gateway)
    assert repository.states(database, ["o1"]) == {"o1": "COMPLETED"}


def test_a_charge_is_closed_so_that_it_is_never_made(
    client: TestClient, database: Database, gateway: FlakyGateway
) -> None:
    deliver(database, handlers.order_created, [created("o1", GOOD)])
    gateway.plan("charge", Fault.NOT_TAKEN)
    charge(database, gateway)
    assert resolve(client, how="close").status_code == 200
    charge(database, gateway)
    assert repository.states(database, ["o1"]) == {"o1": "FAILED"}
    assert not gateway.charge(charge_key("o1"), GOOD, 2500, "USD").approved
    assert len(pending_events(database, PAYMENT_FAILED)) == 1


def test_closing_a_charge_that_was_made_brings_it_to_light(
    client: TestClient, database: Database, gateway: FlakyGateway
) -> None:
    deliver(database, handlers.order_created, [created("o1", GOOD)])
    gateway.plan("charge", Fault.ANSWER_LOST)
    charge(database, gateway)
    resolve(client, how="close")
    charge(database, gateway)
    assert repository.states(database, ["o1"]) == {"o1": "COMPLETED"}


def test_a_refund_by_another_way_is_noted_and_the_gateway_no_longer_asked(
    client: TestClient, database: Database, gateway: FlakyGateway
) -> None:
    failing_refund(database, gateway)
    answer = resolve(client, how="was-refunded", reference="bank transfer 17")
    assert (answer.json()["state"], answer.json()["refundId"]) == ("REFUNDED", "bank transfer 17")
    database.execute("UPDATE job SET run_at = now()")
    refund(database, gateway)  # the gateway is asked once more, and makes nothing
    assert (pending_jobs(database, "refund"), gateway.find_refund(refund_key("o1"))) == ([], None)
    (event,) = pending_events(database, PAYMENT_REFUNDED)
    assert (event.data.refund_id, event.data.amount) == ("bank transfer 17", 2500)
    again = resolve(client, how="was-refunded", reference="bank transfer 17")
    assert (again.status_code, again.json()["type"]) == (409, "/problems/payment-settled")
    (entry,) = client.get("/admin/audit").json()
    assert (entry["action"], entry["subject"], entry["before"]["state"], entry["after"]["state"]) == (
        "payments.resolve",
        "o1",
        "REFUNDING",
        "REFUNDED",
    )
    assert entry["after"]["how"] == "was-refunded: bank transfer 17"


def test_a_dry_run_settles_nothing(client: TestClient, database: Database, gateway: FlakyGateway) -> None:
    failing_refund(database, gateway)
    dry = {"OMS-Dry-Run": "true"}
    how = {"how": "was-refunded", "reference": "17"}
    assert client.post("/admin/payments/o1/resolve", json=how, headers=dry).json()["state"] == "REFUNDED"
    assert repository.states(database, ["o1"]) == {"o1": "REFUNDING"}
    assert len(pending_jobs(database, "refund")) == 1
    assert pending_events(database, PAYMENT_REFUNDED) == []


def test_no_refund_is_noted_while_it_is_unknown_whether_there_is_a_charge(
    client: TestClient, database: Database
) -> None:
    deliver(database, handlers.order_created, [created("o1", GOOD)])
    for _ in range(2):
        answer = resolve(client, how="was-refunded", reference="17")
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/charge-open")
        deliver(database, handlers.give_back, [rejected("o1")])


def test_what_is_not_open_is_not_closed(client: TestClient, database: Database, gateway: FlakyGateway) -> None:
    failing_refund(database, gateway)
    assert resolve(client, how="close").json()["type"] == "/problems/nothing-to-close"
    assert resolve(client, how="was-refunded", reference="4111 1111 1111 1111").status_code == 422
    assert resolve(client, how="was-refunded").status_code == 422
    assert resolve(client, how="ask", reference="17").status_code == 422


def test_nothing_that_is_sent_to_operators_routes_is_a_fault_of_the_service(client: TestClient) -> None:
    assert faults(client, admin.router) == []


def test_a_compensation_that_the_gateway_makes_after_it_was_noted_is_found_out(
    client: TestClient, database: Database, gateway: FlakyGateway
) -> None:
    deliver(database, handlers.order_created, [created("o1", GOOD)])
    charge(database, gateway)
    deliver(database, handlers.give_back, [rejected("o1")])
    gateway.plan("refund", Fault.ANSWER_LOST)
    refund(database, gateway)
    assert resolve(client, how="was-refunded", reference="bank transfer 17").status_code == 200
    database.execute("UPDATE job SET run_at = now()")
    found: list[None] = []
    queue = refunding.job_queue(gateway, on_twice=lambda: found.append(None))
    process_due_jobs(database, queue)
    assert (len(found), repository.states(database, ["o1"])) == (1, {"o1": "REFUNDED"})
    assert [event.data.refund_id for event in pending_events(database, PAYMENT_REFUNDED)] == ["bank transfer 17"]
