"""Refunds that the gateway takes and comes to an end with later, well or not, on a real database and a real ledger."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from support.chassis import deliver, pending_events, pending_jobs, process_due_jobs
from support.gateways import Fault, FlakyGateway, token
from support.payments import cancelled, created, refund_requested, rejected

from oms_chassis.db import Database
from oms_chassis.jobs.queue import JobQueue
from oms_contracts.events import FAILED_TOO_OFTEN as TOO_OFTEN
from oms_contracts.topics import PAYMENT_FAILED, PAYMENT_REFUNDED, REFUND_COMPLETED, REFUND_FAILED
from oms_gateway import RefundStatus, charge_key, refund_key, requested_refund_key
from oms_payment import handlers, requests
from oms_payment.jobs import charging, refunding, requested
from oms_payment.jobs.repeating import MOST_KEYS
from oms_simulators.payment import gateway as simulator
from oms_simulators.payment import ledger
from oms_simulators.payment.testcards import Outcome

TOTAL = 2500
PENDING, FAILING = token(Outcome.REFUND_PENDING), token(Outcome.REFUND_FAILS)
FAILED = "oms_payment_compensations_failed_total"


@pytest.fixture(autouse=True)
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refund stays pending until a test lets it end."""
    monkeypatch.setattr(simulator, "REFUND_SECONDS", 3600.0)


@pytest.fixture
def queue(gateway: FlakyGateway, registry: CollectorRegistry) -> JobQueue:
    return refunding.job_queue(gateway, refunding.failures(registry).inc)


def let_refunds_end(database: Database) -> None:
    database.execute("UPDATE gateway_simulator.refund SET ends_at = now() - interval '1 second'")


def charge(database: Database, gateway: FlakyGateway, card: str) -> None:
    deliver(database, handlers.order_created, [created("o1", card, TOTAL)])
    process_due_jobs(database, charging.job_queue(gateway, 8, 1800.0, CollectorRegistry()))


def make_due(database: Database) -> None:
    database.execute("UPDATE job SET run_at = now()")


def compensate(database: Database, queue: JobQueue) -> None:
    make_due(database)
    process_due_jobs(database, queue)


def work(database: Database, gateway: FlakyGateway) -> None:
    make_due(database)
    process_due_jobs(database, requested.job_queue(gateway))


def payment(database: Database) -> tuple[str, str | None]:
    (row,) = database.execute("SELECT state, reason FROM payment")
    return row.state, row.reason


def refunds(database: Database) -> dict[str, tuple[str, str | None]]:
    rows = database.execute("SELECT refund_id, state, reason FROM requested_refund")
    return {row.refund_id: (row.state, row.reason) for row in rows}


def failures(database: Database) -> list[tuple[str, int, str]]:
    found = [event.data for event in pending_events(database, REFUND_FAILED)]
    return [(one.refund_id, one.amount, one.reason) for one in found]


def resolve(client: TestClient, **how: Any) -> dict[str, Any]:
    answer = client.post("/admin/payments/o1/resolve", json=how)
    assert answer.status_code == 200
    return dict(answer.json())


def test_an_order_s_money_is_back_only_when_the_gateway_says_so(
    database: Database, gateway: FlakyGateway, queue: JobQueue
) -> None:
    charge(database, gateway, PENDING)
    deliver(database, handlers.give_back, [rejected("o1")])
    for _ in range(3):
        compensate(database, queue)
    assert (payment(database), pending_events(database, PAYMENT_REFUNDED)) == (("REFUNDING", None), [])
    (row,) = database.execute("SELECT failed_calls, last_error, run_at > now() AS later FROM job")
    assert (row.failed_calls, row.last_error, row.later) == (0, None, True)
    let_refunds_end(database)
    compensate(database, queue)
    (event,) = pending_events(database, PAYMENT_REFUNDED)
    assert (payment(database), event.data.amount) == (("REFUNDED", None), TOTAL)
    assert gateway.calls.count("refund") == 1
    assert failures(database) == []


def test_an_order_s_refund_that_fails_after_all_is_never_published_as_made(
    database: Database,
    gateway: FlakyGateway,
    queue: JobQueue,
    registry: CollectorRegistry,
    client: TestClient,
    database_url: str,
) -> None:
    charge(database, gateway, FAILING)
    deliver(database, handlers.give_back, [rejected("o1")])
    compensate(database, queue)
    assert registry.get_sample_value(FAILED) == 0.0
    let_refunds_end(database)
    compensate(database, queue)
    assert (payment(database), pending_events(database, PAYMENT_REFUNDED)) == (("REFUNDING", "refund-failed"), [])
    assert failures(database) == [("o1", TOTAL, "gateway-failed")]
    assert registry.get_sample_value(FAILED) == 1.0
    assert pending_jobs(database, "refund") == []
    assert [one["reason"] for one in client.get("/admin/payments").json()] == ["refund-failed"]
    assert ledger.net_by_order(database_url) == {"o1": TOTAL}


def test_an_operator_has_it_made_once_more_under_a_key_of_its_own_and_once_only(
    database: Database, gateway: FlakyGateway, queue: JobQueue, client: TestClient, database_url: str
) -> None:
    charge(database, gateway, FAILING)
    deliver(database, handlers.give_back, [rejected("o1")])
    compensate(database, queue)
    let_refunds_end(database)
    compensate(database, queue)
    assert (resolve(client)["reason"], resolve(client)["reason"]) == (None, None)
    gateway.plan("refund", Fault.ANSWER_LOST)
    for _ in range(3):
        compensate(database, queue)
    assert len(database.execute("SELECT 1 FROM gateway_simulator.refund")) == 2
    database.execute("UPDATE gateway_simulator.refund SET status = 'succeeded' WHERE key = 'o1:refund~2'")
    let_refunds_end(database)
    compensate(database, queue)
    assert payment(database) == ("REFUNDED", None)
    assert len(pending_events(database, PAYMENT_REFUNDED)) == 1
    assert ledger.net_by_order(database_url) == {"o1": 0}


def test_what_has_not_failed_is_not_made_once_more(
    database: Database, gateway: FlakyGateway, queue: JobQueue, client: TestClient
) -> None:
    """It may have been made, or may still be: it is asked about."""
    charge(database, gateway, PENDING)
    deliver(database, requests.refund_requested, [refund_requested("o1", "r1", 400)])
    work(database, gateway)
    assert refused(client) == (409, "/problems/payment-settled")  # no refund of it has failed
    assert refused(client, refund="r1") == (409, "/problems/refund-not-failed")
    let_refunds_end(database)
    work(database, gateway)
    assert refused(client, refund="r1") == (409, "/problems/refund-settled")
    deliver(database, handlers.give_back, [cancelled("o1", TOTAL)])
    compensate(database, queue)
    assert refused(client) == (409, "/problems/refund-not-failed")
    assert client.get("/admin/audit").json() == []


def refused(client: TestClient, **how: str) -> tuple[int, str]:
    answer = client.post("/admin/payments/o1/resolve", json={"how": "again", **how})
    return answer.status_code, answer.json()["type"]


def test_what_was_left_to_give_back_and_failed_is_made_once_more(
    database: Database, gateway: FlakyGateway, queue: JobQueue, client: TestClient, database_url: str
) -> None:
    """If somebody refunds a part by hand, the rest has its own key, and so does its repetition."""
    charge(database, gateway, FAILING)
    (row,) = database.execute("SELECT charge_id FROM payment")
    gateway.refund("o1:by-hand", row.charge_id, 100)
    database.execute("UPDATE gateway_simulator.refund SET status = 'succeeded', ends_at = now()")
    deliver(database, handlers.give_back, [rejected("o1")])
    compensate(database, queue)
    let_refunds_end(database)
    compensate(database, queue)
    assert payment(database) == ("REFUNDING", "refund-failed")
    resolve(client, how="again")
    compensate(database, queue)
    database.execute("UPDATE gateway_simulator.refund SET status = 'succeeded' WHERE key LIKE 'o1:refund~2%%'")
    let_refunds_end(database)
    compensate(database, queue)
    assert payment(database) == ("REFUNDED", None)
    assert ledger.net_by_order(database_url) == {"o1": 0}


def fail_often(database: Database, key: str) -> None:
    """As if an operator had had it made again and again."""
    database.execute(
        "INSERT INTO gateway_simulator.refund (key, id, charge_id, amount, status)"
        " SELECT %(key)s || '~' || n, %(key)s || n, charge_id, 1, 'failed' FROM payment, generate_series(2, 99) AS n",
        key=key,
    )
    let_refunds_end(database)


def test_a_compensation_that_failed_under_ten_keys_gets_no_other_and_no_more_is_asked(
    database: Database, gateway: FlakyGateway, queue: JobQueue, client: TestClient
) -> None:
    charge(database, gateway, FAILING)
    deliver(database, handlers.give_back, [rejected("o1")])
    compensate(database, queue)
    fail_often(database, refund_key("o1"))
    compensate(database, queue)
    resolve(client, how="again")
    del gateway.calls[:]
    compensate(database, queue)
    assert gateway.calls == ["find_refund"] * MOST_KEYS
    assert (payment(database), pending_jobs(database, refunding.QUEUE)) == (("REFUNDING", TOO_OFTEN), [])
    assert [one["reason"] for one in client.get(f"/admin/payments?reason={TOO_OFTEN}").json()] == [TOO_OFTEN]
    resolve(client, how="was-refunded", reference="bank transfer 17")
    assert payment(database) == ("REFUNDED", None)


def test_a_requested_refund_that_failed_under_ten_keys_gets_no_other_and_no_more_is_asked(
    database: Database, gateway: FlakyGateway, client: TestClient
) -> None:
    charge(database, gateway, FAILING)
    deliver(database, requests.refund_requested, [refund_requested("o1", "r1", 400)])
    work(database, gateway)
    fail_often(database, requested_refund_key("o1", "r1"))
    work(database, gateway)
    resolve(client, how="again")
    del gateway.calls[:]
    work(database, gateway)
    assert gateway.calls == ["find_refund"] * MOST_KEYS
    assert (refunds(database)["r1"], pending_jobs(database, requested.QUEUE)) == (("FAILED", TOO_OFTEN), [])
    assert pending_events(database, REFUND_FAILED)[-1].data.reason == TOO_OFTEN


def test_an_operator_tries_it_once_more_in_a_dry_run_first_and_it_is_in_the_journal(
    database: Database, gateway: FlakyGateway, client: TestClient
) -> None:
    charge(database, gateway, FAILING)
    deliver(database, requests.refund_requested, [refund_requested("o1", "r1", 400)])
    work(database, gateway)
    let_refunds_end(database)
    work(database, gateway)
    dry = {"OMS-Dry-Run": "true"}
    tried = client.post("/admin/payments/o1/resolve", json={"how": "again"}, headers=dry).json()
    assert (tried["refunds"][0]["state"], refunds(database)["r1"][0]) == ("PENDING", "FAILED")
    assert pending_jobs(database, requested.QUEUE) == []
    assert resolve(client, how="again")["refunds"][0]["state"] == "PENDING"
    (entry,) = client.get("/admin/audit").json()
    assert (entry["action"], entry["after"]["how"]) == ("payments.resolve", "again")
    assert (entry["before"]["refunds"], entry["after"]["refunds"]) == ({"r1": "FAILED"}, {"r1": "PENDING"})


def test_an_operator_notes_that_it_went_back_by_another_way(
    database: Database, gateway: FlakyGateway, queue: JobQueue, client: TestClient
) -> None:
    gateway.charge(charge_key("o1"), FAILING, TOTAL, "USD")
    deliver(database, handlers.give_back, [rejected("o1")])  # an order that only the gateway remembers
    compensate(database, queue)
    let_refunds_end(database)
    compensate(database, queue)
    assert payment(database) == ("REFUNDING", "refund-failed")
    assert resolve(client, how="was-refunded", reference="bank transfer 17")["state"] == "REFUNDED"
    (event,) = pending_events(database, PAYMENT_REFUNDED)
    assert (event.data.refund_id, payment(database)) == ("bank transfer 17", ("REFUNDED", None))


def test_a_refund_by_hand_that_is_pending_is_waited_for(
    database: Database, gateway: FlakyGateway, queue: JobQueue
) -> None:
    charge(database, gateway, PENDING)
    (row,) = database.execute("SELECT charge_id FROM payment")
    gateway.refund("o1:by-hand", row.charge_id, 100)
    deliver(database, handlers.give_back, [rejected("o1")])
    compensate(database, queue)
    database.execute("UPDATE gateway_simulator.refund SET ends_at = now() WHERE key LIKE '%%remainder'")
    compensate(database, queue)
    assert payment(database) == ("REFUNDING", None)
    let_refunds_end(database)
    compensate(database, queue)
    (event,) = pending_events(database, PAYMENT_REFUNDED)
    assert event.data.amount == TOTAL


def test_a_requested_refund_has_succeeded_only_when_the_gateway_says_so(
    database: Database, gateway: FlakyGateway
) -> None:
    charge(database, gateway, PENDING)
    deliver(database, requests.refund_requested, [refund_requested("o1", "r1", 400)])
    for _ in range(3):
        work(database, gateway)
    assert (refunds(database), pending_events(database, REFUND_COMPLETED)) == ({"r1": ("PENDING", None)}, [])
    let_refunds_end(database)
    work(database, gateway)
    assert refunds(database) == {"r1": ("SUCCEEDED", None)}
    assert len(pending_events(database, REFUND_COMPLETED)) == 1
    assert gateway.calls.count("refund") == 1


def test_a_requested_refund_that_fails_after_all_can_be_made_once_more(
    database: Database, gateway: FlakyGateway, client: TestClient, database_url: str
) -> None:
    charge(database, gateway, FAILING)
    deliver(database, requests.refund_requested, [refund_requested("o1", "r1", 400)])
    work(database, gateway)
    let_refunds_end(database)
    work(database, gateway)
    assert (refunds(database), failures(database)) == (
        {"r1": ("FAILED", "gateway-failed")},
        [("r1", 400, "gateway-failed")],
    )
    assert ledger.requested_refunds(database_url) == {}
    resolve(client)
    for _ in range(2):
        work(database, gateway)
    again = gateway.find_refund(f"{requested_refund_key('o1', 'r1')}~2")
    assert again is not None
    assert again.status is RefundStatus.PENDING
    database.execute("UPDATE gateway_simulator.refund SET status = 'succeeded' WHERE id = %(id)s", id=again.id)
    let_refunds_end(database)
    work(database, gateway)
    assert refunds(database) == {"r1": ("SUCCEEDED", None)}
    assert ledger.requested_refunds(database_url) == {"r1": [again.id]}
    assert ledger.net_by_order(database_url) == {"o1": TOTAL - 400}


def test_what_failed_leaves_room_for_another_refund(database: Database, gateway: FlakyGateway) -> None:
    charge(database, gateway, FAILING)
    deliver(database, requests.refund_requested, [refund_requested("o1", "r1", TOTAL)])
    work(database, gateway)
    let_refunds_end(database)
    work(database, gateway)
    deliver(database, requests.refund_requested, [refund_requested("o1", "r2", TOTAL)])
    assert refunds(database)["r2"] == ("PENDING", None)


def test_a_charge_of_another_amount_is_given_back_before_its_payment_fails(
    database: Database, gateway: FlakyGateway
) -> None:
    gateway.charge(charge_key("o1"), PENDING, 100, "USD")
    charge(database, gateway, PENDING)
    assert payment(database) == ("PENDING", None)
    let_refunds_end(database)
    make_due(database)
    process_due_jobs(database, charging.job_queue(gateway, 8, 1800.0, CollectorRegistry()))
    assert payment(database) == ("FAILED", "gateway-refused")
    assert len(pending_events(database, PAYMENT_FAILED)) == 1
    assert gateway.find_refund(refund_key("o1")) is not None
