"""What operators do about messages that were given up."""

from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from support.admin import faults, operated
from support.chassis import deliver, process_due_jobs
from support.notices import cancelled, confirmed, message_table, refunded

from oms_chassis.db import Database
from oms_chassis.jobs.dead import mark_dead
from oms_chassis.jobs.queue import JobQueue, Outcome, claim
from oms_chassis.jobs.settling import Call, Settlement
from oms_chassis.runtime.service import Components
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event
from oms_contracts.events import OrderEvent
from oms_notifications import admin, repository
from oms_notifications.handlers import subscriptions
from oms_notifications.jobs import counter, job_queue
from oms_notifications.messages import Kind
from oms_notifications.notice import Notice, refused, sent, turned_down


class Provider:
    def __init__(self) -> None:
        self.outcome: Outcome = sent("id-1")
        self.notices: list[Notice] = []

    def send(self, notice: Notice) -> Outcome:
        self.notices.append(notice)
        return self.outcome


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def queue(provider: Provider) -> JobQueue:
    return job_queue("email", provider, counter("email", CollectorRegistry()), 1)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = message_table(database_url)
    yield database
    database.dispose()


@pytest.fixture
def client(database: Database, queue: JobQueue) -> Iterator[TestClient]:
    made_of = Components(job_queues=[queue], admin=[admin.router], states=repository.states)
    with operated("email", database, made_of) as client:
        yield client


def compose(kind: Kind, order: OrderEvent) -> Notice:
    return Notice(order.order_id, kind, order.customer.email, "Hi")


def notify(database: Database, *orders: str) -> None:
    publish(database, *(confirmed(order) for order in orders))


def publish(database: Database, *events: Event[Any]) -> None:
    found = subscriptions("email", compose, (), counter("email", CollectorRegistry()))
    handle = next(one.handle for one in found if one.topic.name == events[0].type)
    deliver(database, handle, events)


def give_up(database: Database, queue: JobQueue) -> None:
    assert queue.give_up is not None
    with database.transaction() as transaction:
        claimed = claim(transaction, "email", 10, 60.0)
        mark_dead(transaction, "email", [(job, "timeout") for job in claimed])
        queue.give_up(transaction, claimed)


def resend(client: TestClient, database: Database, queue: JobQueue) -> None:
    """Have the last message about o1 sent again."""
    assert client.post("/admin/messages/o1/resend").json()["state"] == "pending"
    process_due_jobs(database, queue)


def test_a_message_that_was_given_up_is_sent_again_with_the_key_that_it_had(
    client: TestClient, database: Database, queue: JobQueue, provider: Provider
) -> None:
    notify(database, "o1")
    give_up(database, queue)
    (found,) = client.get("/admin/messages").json()
    assert (found["orderId"], found["state"], found["reason"]) == ("o1", "failed", "no attempt succeeded")
    shown = client.get("/admin/messages/o1")
    assert [job["state"] for job in shown.json()["jobs"]] == ["dead"]
    assert "@" not in shown.text
    resend(client, database, queue)
    assert [notice.key for notice in provider.notices] == ["o1.confirmed"]
    assert client.get("/admin/messages").json() == []
    assert client.get("/admin/messages?state=sent").json()[0]["providerId"] == "id-1"
    (entry,) = client.get("/admin/audit").json()
    assert (entry["action"], entry["before"]["state"], entry["after"]["state"]) == (
        "messages.resend",
        "failed",
        "pending",
    )


def test_a_message_that_was_cancelled_while_it_is_sent_is_not_sent_twice(
    client: TestClient, database: Database, queue: JobQueue
) -> None:
    notify(database, "o1")
    with database.transaction() as transaction:
        (job,) = claim(transaction, "email", 10, 20.0)
    client.post("/admin/jobs/cancel", json={"queue": "email", "id": job.id})
    answer = client.post("/admin/messages/o1/resend")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/call-under-way")
    database.execute("UPDATE job SET dead_at = now()")
    assert client.post("/admin/messages/o1/resend").json()["state"] == "pending"


def test_a_message_about_a_cancellation_is_sent_again_too(
    client: TestClient, database: Database, queue: JobQueue, provider: Provider
) -> None:
    publish(database, cancelled("o1"))
    give_up(database, queue)
    resend(client, database, queue)
    assert [notice.key for notice in provider.notices] == ["o1.cancelled"]


def test_of_an_order_whose_confirmation_and_cancellation_were_given_up_the_cancellation_is_sent_again(
    client: TestClient, database: Database, queue: JobQueue, provider: Provider
) -> None:
    notify(database, "o1")
    give_up(database, queue)
    publish(database, cancelled("o1"))
    give_up(database, queue)
    assert [job["id"] for job in client.get("/admin/messages/o1").json()["jobs"]] == ["o1.cancelled"]
    resend(client, database, queue)
    assert [notice.key for notice in provider.notices] == ["o1.cancelled"]


def test_a_confirmation_that_failed_on_its_way_while_the_order_was_cancelled_is_not_sent_again(
    client: TestClient, database: Database, queue: JobQueue, provider: Provider
) -> None:
    notify(database, "o1")
    with database.transaction() as transaction:
        under_way = claim(transaction, "email", 10, 60.0)
    publish(database, cancelled("o1"))
    with database.transaction() as transaction:
        mark_dead(transaction, "email", [(job, "timeout") for job in under_way])
    give_up(database, queue)
    resend(client, database, queue)
    assert [notice.key for notice in provider.notices] == ["o1.cancelled"]


def test_a_message_about_a_refund_is_found_by_the_refund_and_sent_again_alone(
    client: TestClient, database: Database, queue: JobQueue, provider: Provider
) -> None:
    notify(database, "o1")
    publish(database, refunded("o1", "r1"))
    give_up(database, queue)
    found = {one["refundId"]: one["orderId"] for one in client.get("/admin/messages").json()}
    assert found == {None: "o1", "r1": "o1"}
    for about in ("o1", "r1"):
        assert [job["id"] for job in client.get(f"/admin/messages/{about}").json()["jobs"]] == [about]
    resent = client.post("/admin/messages/r1/resend").json()
    assert (resent["orderId"], resent["refundId"], resent["state"]) == ("o1", "r1", "pending")
    process_due_jobs(database, queue)
    assert [notice.key for notice in provider.notices] == ["r1.refunded"]
    assert [one["refundId"] for one in client.get("/admin/messages").json()] == [None]


def test_a_message_that_may_still_arrive_is_not_sent_again(client: TestClient, database: Database) -> None:
    notify(database, "o1")
    answer = client.post("/admin/messages/o1/resend")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/message-not-failed")


def test_a_message_that_the_provider_refused_for_good_is_gone(
    client: TestClient, database: Database, queue: JobQueue, provider: Provider
) -> None:
    provider.outcome = refused("no such mailbox")
    notify(database, "o1")
    process_due_jobs(database, queue)
    answer = client.post("/admin/messages/o1/resend")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/nothing-to-send")


def test_a_message_that_the_provider_turned_down_is_sent_again_once_that_is_repaired(
    client: TestClient, database: Database, queue: JobQueue, provider: Provider
) -> None:
    provider.outcome = turned_down("sms: 400")
    notify(database, "o1")
    process_due_jobs(database, queue)
    assert process_due_jobs(database, queue) == []
    (found,) = client.get("/admin/messages").json()
    assert (found["orderId"], found["state"], found["reason"]) == ("o1", "failed", "sms: 400")
    provider.outcome = sent("id-1")
    resend(client, database, queue)
    assert [notice.key for notice in provider.notices] == ["o1.confirmed"] * 2
    assert client.get("/admin/messages?state=sent").json()[0]["attempts"] == 1
    assert client.get("/admin/jobs").json() == []


def test_a_message_that_was_turned_down_when_the_order_had_a_later_one_is_not_kept(
    client: TestClient, database: Database, queue: JobQueue
) -> None:
    notify(database, "o1")
    with database.transaction() as transaction:
        under_way = claim(transaction, "email", 10, 60.0)
    publish(database, cancelled("o1"))
    Settlement(queue, database, Metrics(CollectorRegistry())).settle(
        [Call(job, turned_down("sms: 400")) for job in under_way]
    )
    assert [job["id"] for job in client.get("/admin/jobs").json()] == ["o1.cancelled"]


def test_a_message_that_there_is_not_is_404(client: TestClient) -> None:
    assert client.get("/admin/messages/none").status_code == 404
    assert client.post("/admin/messages/none/resend").status_code == 404


def test_messages_are_listed_by_page(client: TestClient, database: Database) -> None:
    notify(database, "a", "b", "c")
    page = client.get("/admin/messages?state=pending&limit=2")
    assert [one["orderId"] for one in page.json()] == ["a", "b"]
    assert [one["orderId"] for one in client.get(page.links["next"]["url"]).json()] == ["c"]


def test_a_message_in_a_state_of_a_later_release_is_listed_and_shown(client: TestClient, database: Database) -> None:
    notify(database, "o1")
    database.execute("ALTER TABLE message DROP CONSTRAINT message_state")
    database.execute("UPDATE message SET state = 'scheduled'")
    assert client.get("/admin/messages/o1").json()["state"] == "scheduled"
    rows = repository.page(database, None, None, "", 10)
    assert [admin.MessageView.of(row).state for row in rows] == ["scheduled"]
    assert client.post("/admin/messages/o1/resend").status_code == 409


def test_a_call_with_fields_of_a_later_release_is_made(database: Database, queue: JobQueue, provider: Provider) -> None:
    notify(database, "o1")
    database.execute("""UPDATE job SET payload = payload || '{"locale": "de"}'""")
    process_due_jobs(database, queue)
    assert [notice.key for notice in provider.notices] == ["o1.confirmed"]


def test_nothing_that_is_sent_to_operators_routes_is_a_fault_of_the_service(client: TestClient) -> None:
    assert faults(client, admin.router) == []
