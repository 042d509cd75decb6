"""What customers' banks take back, on a real database with the simulator's real ledger."""

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from support.admin import operated
from support.chassis import deliver, pending_events, process_due_jobs
from support.gateways import Fault, FlakyGateway, token
from support.payments import created, refund_requested, rejected

from oms_chassis.db import Database
from oms_chassis.runtime.service import Components
from oms_contracts.topics import CHARGE_DISPUTED, REFUND_FAILED
from oms_gateway import GatewayUnavailable, RequestRefused, charge_key
from oms_payment import admin, disputes, handlers, repository, requests
from oms_payment.jobs import charging, refunding
from oms_simulators.payment import ledger
from oms_simulators.payment.testcards import Outcome

TOTAL = 2500


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def disputed(database: Database, gateway: FlakyGateway) -> str:
    """An order whose charge was taken back, next to one whose was not."""
    cards = {"o1": token(Outcome.DISPUTED), "o2": token(Outcome.APPROVED)}
    deliver(database, handlers.order_created, [created(order, card, TOTAL) for order, card in cards.items()])
    process_due_jobs(database, charging.job_queue(gateway, 8, 1800.0, CollectorRegistry()))
    return "o1"


def test_what_a_bank_has_taken_back_is_noticed_once_whoever_looks(
    database: Database, gateway: FlakyGateway, registry: CollectorRegistry, disputed: str
) -> None:
    tasks = [disputes.task(gateway, database, 300.0, one) for one in (registry, CollectorRegistry())]
    for task in (*tasks, *tasks):
        task.call()
    (row,) = database.execute("SELECT order_id, amount, currency FROM dispute")
    assert tuple(row) == (disputed, TOTAL, "USD")
    assert registry.get_sample_value("oms_payment_disputes_total") == 1.0
    with operated("payment", database, Components(admin=[admin.router], states=repository.states)) as client:
        assert shown(client, "o1") == TOTAL
        assert shown(client, "o2") is None


def test_whoever_notices_it_publishes_it_for_the_order_s_timeline(
    database: Database, gateway: FlakyGateway, registry: CollectorRegistry, disputed: str
) -> None:
    gateway.charge(charge_key("another-installation-s"), token(Outcome.DISPUTED), 700, "USD")
    task = disputes.task(gateway, database, 300.0, registry)
    for _ in range(2):
        task.call()
    (event,) = pending_events(database, CHARGE_DISPUTED)
    (row,) = database.execute("SELECT id FROM dispute WHERE order_id = %(order)s", order=disputed)
    assert (event.subject, event.data.dispute_id) == (disputed, row.id)
    assert (event.data.amount, event.data.currency) == (TOTAL, "USD")


def shown(client: TestClient, order: str) -> int | None:
    found: int | None = client.get(f"/admin/payments/{order}").json()["disputed"]
    return found


def test_nothing_of_it_is_refunded_too(
    database: Database, gateway: FlakyGateway, registry: CollectorRegistry, disputed: str, database_url: str
) -> None:
    disputes.task(gateway, database, 300.0, registry).call()
    deliver(database, requests.refund_requested, [refund_requested(disputed, "r1", 1)])
    (failed,) = pending_events(database, REFUND_FAILED)
    assert (failed.data.refund_id, failed.data.reason) == ("r1", "more-than-remains")
    deliver(database, handlers.give_back, [rejected(disputed)])
    with pytest.raises(RequestRefused):  # tried again, until an operator notes that the money is back
        process_due_jobs(database, refunding.job_queue(gateway))
    assert ledger.refunds_by_order(database_url) == {}
    assert repository.states(database, [disputed]) == {disputed: "REFUNDING"}


def test_a_gateway_that_is_away_is_asked_again_for_all_of_it(
    database: Database, gateway: FlakyGateway, registry: CollectorRegistry, disputed: str
) -> None:
    task = disputes.task(gateway, database, 300.0, registry)
    gateway.plan("disputes", Fault.NOT_TAKEN)
    with pytest.raises(GatewayUnavailable):
        task.call()
    task.call()
    assert [row.order_id for row in database.execute("SELECT order_id FROM dispute")] == [disputed]
