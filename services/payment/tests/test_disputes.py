"""What customers' banks take back, on a real database with the simulator's real ledger."""

from collections.abc import Mapping

import pytest
from prometheus_client import CollectorRegistry
from pydantic import ValidationError
from starlette.testclient import TestClient
from support.admin import operated
from support.chassis import deliver, pending_events, process_due_jobs
from support.gateways import Fault, FlakyGateway, token
from support.payments import created, refund_requested, rejected

from oms_chassis import retention
from oms_chassis.db import Database
from oms_chassis.runtime.service import Components
from oms_contracts.topics import CHARGE_DISPUTED, REFUND_FAILED
from oms_gateway import Dispute, GatewayUnavailable, RequestRefused, charge_key
from oms_payment import admin, disputes, handlers, repository, requests, retentions
from oms_payment.jobs import charging, refunding
from oms_simulators.payment import ledger
from oms_simulators.payment.testcards import Outcome

TOTAL = 2500
OLD = "018cc251-f400-7000-8000-000000000001"  # an id of the first of January 2024


@pytest.fixture
def disputed(database: Database, gateway: FlakyGateway) -> str:
    """An order whose charge was taken back, next to one whose was not."""
    charge(database, gateway, {"o1": Outcome.DISPUTED, "o2": Outcome.APPROVED})
    return "o1"


def charge(database: Database, gateway: FlakyGateway, cards: Mapping[str, Outcome]) -> None:
    deliver(database, handlers.order_created, [created(order, token(card), TOTAL) for order, card in cards.items()])
    process_due_jobs(database, charging.job_queue(gateway, 8, 1800.0, CollectorRegistry()))


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


def test_one_that_no_event_can_hold_keeps_no_other_from_being_noticed(
    database: Database,
    gateway: FlakyGateway,
    registry: CollectorRegistry,
    disputed: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    odd = Dispute("dp-odd", charge_key("o2"), "ch-2", 0, "usd")
    listed = [odd, *gateway.disputes(30), odd]
    monkeypatch.setattr(gateway, "disputes", lambda _: listed)
    with pytest.raises(ValidationError):  # and the task has failed, which is counted
        disputes.task(gateway, database, 300.0, registry).call()
    (event,) = pending_events(database, CHARGE_DISPUTED)
    assert event.subject == disputed
    assert registry.get_sample_value("oms_payment_disputes_total") == 1.0


def test_however_many_no_event_can_hold_what_follows_them_is_noticed(
    database: Database,
    gateway: FlakyGateway,
    registry: CollectorRegistry,
    disputed: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    odd = [Dispute(f"dp-odd-{number}", charge_key("o2"), "ch-2", 0, "usd") for number in range(7)]
    listed = [*odd, *gateway.disputes(30)]
    monkeypatch.setattr(gateway, "disputes", lambda _: listed)
    task = disputes.task(gateway, database, 300.0, registry)
    for _ in range(2):
        with pytest.raises(ValidationError):
            task.call()
    (event,) = pending_events(database, CHARGE_DISPUTED)
    assert event.subject == disputed


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


def prune(database: Database) -> None:
    for one in (*retentions.payments(31.0), *retentions.disputes(31.0)):
        retention.prune(database, one)


def left(database: Database, table: str) -> set[str]:
    return {row.order_id for row in database.execute(f"SELECT order_id FROM {table}")}


def test_an_old_payment_stays_for_as_long_as_the_gateway_may_name_its_dispute(
    database: Database, gateway: FlakyGateway, registry: CollectorRegistry
) -> None:
    charge(database, gateway, {OLD: Outcome.DISPUTED})
    task = disputes.task(gateway, database, 300.0, registry)
    task.call()
    database.execute("UPDATE payment SET updated_at = now() - interval '33 days'")
    prune(database)
    task.call()
    assert registry.get_sample_value("oms_payment_disputes_total") == 1.0
    assert len(pending_events(database, CHARGE_DISPUTED)) == 1
    assert left(database, "payment") == {OLD}
    database.execute("UPDATE dispute SET noticed_at = now() - interval '33 days'")
    prune(database)
    assert (left(database, "payment"), left(database, "dispute")) == (set(), set())


def test_a_dispute_without_a_payment_goes_once_the_gateway_has_forgotten_it(
    database: Database, gateway: FlakyGateway, registry: CollectorRegistry, disputed: str
) -> None:
    gateway.charge(charge_key("another-installation-s"), token(Outcome.DISPUTED), 700, "USD")
    disputes.task(gateway, database, 300.0, registry).call()
    database.execute("UPDATE dispute SET noticed_at = now() - interval '31 days'")
    prune(database)
    assert left(database, "dispute") == {disputed, "another-installation-s"}
    database.execute("UPDATE dispute SET noticed_at = now() - interval '33 days'")
    prune(database)
    assert left(database, "dispute") == {disputed}
