"""Payments and jobs that a later release has written: shown, and neither passed over nor guessed at."""

from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from support.admin import operated
from support.chassis import MemoryStream, deliver, eventually, pending_events, pending_jobs, running
from support.gateways import FlakyGateway, token
from support.payments import created, refund_requested, rejected

from oms_chassis.db import Database
from oms_chassis.jobs.worker import Worker
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.messaging.streams import Outgoing
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.runtime.service import Components
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.topics import INVENTORY_REJECTED, PAYMENT_COMPLETED
from oms_payment import admin, handlers, repository, requests
from oms_payment.domain import Outcome as ChargeOutcome
from oms_payment.jobs import charging, refunding
from oms_simulators.payment.testcards import Outcome

GOOD = token(Outcome.APPROVED)


@pytest.fixture
def later(database: Database) -> Database:
    """A database with the schema of a later release, which has more states."""
    database.execute("ALTER TABLE payment DROP CONSTRAINT payment_state")
    return database


@pytest.fixture
def client(later: Database) -> Iterator[TestClient]:
    with operated("payment", later, Components(admin=[admin.router], states=repository.states)) as client:
        yield client


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def bring_into(database: Database, state: str, order_id: str = "o1") -> None:
    database.execute(
        "UPDATE payment SET state = %(state)s, charge_id = 'ch-1' WHERE order_id = %(id)s", state=state, id=order_id
    )


def state(database: Database, order_id: str = "o1") -> str:
    return repository.states(database, [order_id])[order_id]


def test_a_payment_of_a_later_release_is_listed_and_shown(client: TestClient, later: Database) -> None:
    deliver(later, handlers.order_created, [created("o1", GOOD), created("o2", GOOD)])
    bring_into(later, "AUTHORISED")
    assert [one["orderId"] for one in client.get("/admin/payments").json()] == ["o2"]
    assert client.get("/admin/payments/o1").json()["state"] == "AUTHORISED"
    answer = client.post("/admin/payments/o1/resolve", json={"how": "ask"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/payment-of-later-release")
    assert state(later) == "AUTHORISED"
    assert repository.page(later, None, None, "", 10)[0].state == "AUTHORISED"


@pytest.mark.parametrize(
    "how",
    [
        {"how": "ask"},
        {"how": "ask", "refund": "r1"},
        {"how": "again", "refund": "r1"},
        {"how": "was-refunded", "reference": "x", "refund": "r1"},
    ],
    ids=["ask", "ask about the refund", "again", "was refunded"],
)
def test_a_failed_refund_of_a_payment_of_a_later_release_is_settled_by_that_release(
    client: TestClient, later: Database, how: dict[str, str]
) -> None:
    deliver(later, handlers.order_created, [created("o1", GOOD)])
    bring_into(later, "COMPLETED")
    deliver(later, requests.refund_requested, [refund_requested("o1", "r1", 1)])
    later.execute("UPDATE requested_refund SET state = 'FAILED', reason = 'gateway-failed'")
    bring_into(later, "PARTLY_REFUNDED")
    answer = client.post("/admin/payments/o1/resolve", json=how)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/payment-of-later-release")
    shown = client.get("/admin/payments/o1").json()
    assert (shown["state"], [one["state"] for one in shown["refunds"]]) == ("PARTLY_REFUNDED", ["FAILED"])


def test_an_event_about_a_payment_of_a_later_release_pauses_the_consumer_and_is_applied_by_that_release(
    later: Database, metrics: Metrics
) -> None:
    deliver(later, handlers.order_created, [created("o1", GOOD), created("o2", GOOD)])
    later.execute("DELETE FROM job")
    bring_into(later, "AUTHORISED")
    bring_into(later, "COMPLETED", "o2")
    stream = MemoryStream()
    for event in (rejected("o1"), rejected("o2")):
        stream.send([Outgoing(INVENTORY_REJECTED.name, event.subject.encode(), event.encode().encode())])
    reader = Consumer("payment", later, [Subscription(INVENTORY_REJECTED, handlers.give_back)], lambda: stream, metrics)
    with running(reader):
        eventually(lambda: metrics.registry.get_sample_value("oms_consumer_paused") == 1)
        assert pending_events(later) == []
        assert stream.committed == {}
        bring_into(later, "COMPLETED")  # as the later release would
        eventually(lambda: stream.committed == {(INVENTORY_REJECTED.name, 0): 2})
    assert (state(later), state(later, "o2")) == ("REFUNDING", "REFUNDING")
    assert {job.subject for job in pending_jobs(later, refunding.QUEUE)} == {"o1", "o2"}
    assert later.execute("SELECT 1 FROM outbox") == []


def test_the_outcome_of_a_charge_is_kept_while_only_a_later_release_can_write_it(
    later: Database, gateway: FlakyGateway, metrics: Metrics
) -> None:
    deliver(later, handlers.order_created, [created("o1", GOOD)])
    later.execute("UPDATE payment SET state = 'AUTHORISING'")
    queue = charging.job_queue(gateway, 8, 1800.0, CollectorRegistry())
    with running(Worker(queue, later, metrics)):
        eventually(lambda: later.execute("SELECT 1 FROM job WHERE outcome IS NOT NULL"))
        assert state(later) == "AUTHORISING"
        later.execute("UPDATE payment SET state = 'PENDING'")
        eventually(lambda: state(later) == "COMPLETED")
    assert [event.subject for event in pending_events(later, PAYMENT_COMPLETED)] == ["o1"]
    assert gateway.calls == ["charge"]


def test_an_outcome_that_a_later_release_has_kept_is_read_for_what_is_known_of_it() -> None:
    kept: dict[str, Any] = {"approved": True, "charge_id": "ch-1", "reason": None, "risk": "low"}
    assert ChargeOutcome.of(kept) == ChargeOutcome(approved=True, charge_id="ch-1")
