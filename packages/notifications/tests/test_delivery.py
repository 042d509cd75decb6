"""From the event to the job and to what became of it, on a real Postgres."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlmodel import Session, select
from support import chassis as testing
from support.chassis import dead_jobs
from support.notices import cancelled, confirmed, declined, message_table, out_of_stock, refunded

from oms_chassis.db import Database, Transaction
from oms_chassis.jobs import dead, leases
from oms_chassis.jobs.queue import Job, JobQueue, Outcome, Retry, claim
from oms_chassis.jobs.settling import Call, Settlement
from oms_chassis.jobs.worker import Worker
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event
from oms_contracts.events import OrderEvent
from oms_contracts.parts import ERASED, Customer
from oms_notifications import jobs as notifying
from oms_notifications.handlers import ENDINGS, subscriptions
from oms_notifications.jobs import STATES, counter, job_queue
from oms_notifications.messages import Kind
from oms_notifications.notice import InDoubt, Notice, refused, sent, turned_down
from oms_notifications.tables import MessageRow
from oms_servers.postgres import PostgresServer
from oms_servers.testing import database_like

QUEUE = "email"


def compose(kind: Kind, order: OrderEvent) -> Notice:
    return Notice(order.order_id, kind, order.customer.email, f"{kind}!", "Subject")


MESSAGES = counter(QUEUE, CollectorRegistry())
HANDLE = {one.topic.name: one.handle for one in subscriptions(QUEUE, compose, (), MESSAGES)}


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[Database]:
    with database_like(postgres, "notifications", lambda url: message_table(url).dispose()) as url:
        database = Database(url, 6)
        yield database
        database.dispose()


def apply(database: Database, *events: Event[Any]) -> None:
    for event in events:
        testing.deliver(database, HANDLE[event.type], [event])


def message(database: Database, order_id: str) -> MessageRow:
    with Session(database.engine) as session:
        return session.exec(select(MessageRow).where(MessageRow.order_id == order_id)).one()


class Fake:
    """A provider whose answers a test gives it."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.notices: list[Notice] = []

    def send(self, notice: Notice) -> Outcome:
        self.notices.append(notice)
        return self.outcomes.pop(0)


@contextmanager
def running(queue: JobQueue, database: Database) -> Iterator[None]:
    worker = Worker(queue, database, Metrics(CollectorRegistry()))
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(30)


def test_a_message_that_is_turned_down_is_kept_and_not_sent_again(database: Database) -> None:
    fake = Fake(turned_down("sender unknown"), turned_down("sender unknown"))
    with running(job_queue(QUEUE, fake, counter(QUEUE, CollectorRegistry()), 2), database):
        testing.eventually(lambda: database.signals.handoffs[QUEUE].room)
        apply(database, confirmed("a"))
        testing.eventually(lambda: message(database, "a").state == "failed")
    assert len(fake.notices) == 1
    assert [(job.id, job.last_error) for job in dead_jobs(database, QUEUE)] == [("a", "sender unknown")]


def test_every_ending_of_an_order_is_subscribed_to() -> None:
    assert {topic.name for topic, _ in ENDINGS} == set(HANDLE)
    assert all({"sms", "email"} <= topic.read_by for topic, _ in ENDINGS)


def test_each_ending_becomes_one_job(database: Database) -> None:
    apply(database, confirmed("a"), declined("b"), out_of_stock("c"))
    jobs = {job.id: job for job in testing.pending_jobs(database, QUEUE)}
    assert {order_id: job.payload["text"] for order_id, job in jobs.items()} == {
        "a": "confirmed!",
        "b": "declined!",
        "c": "out-of-stock!",
    }
    assert Notice.of(jobs["a"]) == Notice("a", "confirmed", "ann@example.com", "confirmed!", "Subject")
    assert message(database, "a").state == "pending"


def test_a_batch_becomes_jobs_as_a_whole(database: Database) -> None:
    events = [confirmed(f"o-{number}") for number in range(500)]
    testing.deliver(database, HANDLE[events[0].type], events)
    assert len(testing.pending_jobs(database, QUEUE)) == 500


def test_of_two_endings_of_an_order_the_customer_is_notified_once(database: Database) -> None:
    apply(database, confirmed("a"), declined("a"))
    testing.deliver(database, HANDLE[confirmed("b").type], [confirmed("b"), confirmed("b")])
    assert sorted(job.id for job in testing.pending_jobs(database, QUEUE)) == ["a", "b"]
    assert message(database, "a").kind == "confirmed"


@pytest.mark.parametrize("end", [confirmed, declined, out_of_stock, cancelled])
def test_nobody_is_notified_of_what_becomes_of_an_order_whose_customer_is_erased(database: Database, end: Any) -> None:
    erased = Customer(name=ERASED, email=ERASED, phone_number=ERASED)
    events = [end("a", customer=erased), end("b"), end("c", customer=erased)]
    testing.deliver(database, HANDLE[events[0].type], events)
    assert [job.subject for job in testing.pending_jobs(database, QUEUE)] == ["b"]
    assert [row.order_id for row in database.execute("SELECT order_id FROM message")] == ["b"]


def test_an_ending_that_comes_after_the_message_was_sent_leads_to_no_other(database: Database) -> None:
    apply(database, confirmed("a"))
    fake = Fake(sent("provider-1"))
    testing.process_due_jobs(database, job_queue(QUEUE, fake, counter(QUEUE, CollectorRegistry()), 2))
    apply(database, declined("a"), confirmed("a"))
    assert testing.pending_jobs(database, QUEUE) == []
    assert len(fake.notices) == 1


@pytest.mark.parametrize("end", [declined, out_of_stock, confirmed, cancelled])
def test_the_customer_of_a_cancelled_order_is_sent_that_and_nothing_else(database: Database, end: Any) -> None:
    apply(database, cancelled("a"), end("a"), cancelled("a"))
    assert [job.payload["text"] for job in testing.pending_jobs(database, QUEUE)] == ["cancelled!"]


@pytest.mark.parametrize("end", [declined, out_of_stock])
def test_an_order_that_ended_otherwise_before_it_was_cancelled_is_not_written_about_again(
    database: Database, end: Any
) -> None:
    apply(database, end("a"), cancelled("a"))
    (job,) = testing.pending_jobs(database, QUEUE)
    assert job.payload["kind"] == message(database, "a").kind != "cancelled"


def test_a_confirmation_that_is_not_sent_yet_is_withdrawn_when_the_order_is_cancelled(database: Database) -> None:
    apply(database, confirmed("a"), confirmed("b"), cancelled("a"))
    jobs = testing.pending_jobs(database, QUEUE)
    assert [(job.subject, job.payload["kind"]) for job in jobs] == [("b", "confirmed"), ("a", "cancelled")]


def test_a_confirmation_whose_sending_has_failed_is_withdrawn_too(database: Database) -> None:
    registry = CollectorRegistry()
    fake = Fake(Retry("smtp: 451"), sent("provider-1"))
    queue = job_queue(QUEUE, fake, counter(QUEUE, registry), 2)
    apply(database, confirmed("a"))
    testing.process_due_jobs(database, queue)
    apply(database, cancelled("a"))
    database.execute("UPDATE job SET run_at = now() - make_interval(secs => CASE id WHEN 'a' THEN 2 ELSE 1 END)")
    testing.process_due_jobs(database, queue)
    assert [notice.key for notice in fake.notices] == ["a.confirmed", "a.cancelled"]
    assert testing.pending_jobs(database, QUEUE) == []
    assert (message(database, "a").kind, message(database, "a").state) == ("cancelled", "sent")
    assert {state: count(registry, "confirmed", state) for state in STATES} == dict.fromkeys(STATES, 0.0)


def test_a_confirmation_that_was_given_up_is_deleted_when_the_order_is_cancelled(database: Database) -> None:
    apply(database, confirmed("a"), confirmed("b"))
    with database.transaction() as transaction:
        dead.mark_dead(transaction, QUEUE, [(job, "timeout") for job in claim(transaction, QUEUE, 2, lease=60.0)])
    apply(database, cancelled("a"))
    assert [job.id for job in dead_jobs(database, QUEUE)] == ["b"]


def test_a_confirmation_that_is_out_of_date_is_given_up_and_tried_again_as_nobody_s_message(database: Database) -> None:
    registry = CollectorRegistry()
    fake = Fake(Retry("smtp: 451"), refused("smtp: 550"))
    queue = job_queue(QUEUE, fake, counter(QUEUE, registry), 1)
    apply(database, confirmed("a"))
    testing.process_due_jobs(database, queue)
    database.execute("UPDATE job SET run_at = now() + interval '1 hour'")
    apply(database, cancelled("a"))
    testing.process_due_jobs(database, queue)
    (job,) = testing.pending_jobs(database, QUEUE)
    with database.transaction() as transaction:
        dead.mark_dead(transaction, QUEUE, [(job, "cancelled by an operator")])
        _give_up(queue, transaction, [job])
        dead.redrive(transaction, queue, [job.id])
    testing.process_due_jobs(database, queue)
    row = message(database, "a")
    assert (row.kind, row.state, row.reason) == ("cancelled", "failed", "smtp: 550")
    assert [notice.kind for notice in fake.notices] == ["confirmed", "cancelled"]
    assert count(registry, "confirmed", "failed") == 0.0


def test_a_confirmed_order_that_is_cancelled_later_is_notified_of_both_in_this_order(database: Database) -> None:
    fake = Fake(sent("provider-1"), sent("provider-2"))
    queue = job_queue(QUEUE, fake, counter(QUEUE, CollectorRegistry()), 2)
    apply(database, confirmed("a"))
    testing.process_due_jobs(database, queue)
    apply(database, cancelled("a"), cancelled("a"))
    testing.process_due_jobs(database, queue)
    apply(database, cancelled("a"), confirmed("a"))
    testing.process_due_jobs(database, queue)
    assert [(notice.key, notice.text) for notice in fake.notices] == [
        ("a.confirmed", "confirmed!"),
        ("a.cancelled", "cancelled!"),
    ]
    assert (message(database, "a").kind, message(database, "a").provider_id) == ("cancelled", "provider-2")


def test_a_confirmation_that_is_on_its_way_does_not_settle_the_cancellation(database: Database) -> None:
    fake = Fake(sent("provider-1"))
    apply(database, confirmed("a"))
    with database.transaction() as transaction:
        (job,) = claim(transaction, QUEUE, 1, lease=60.0)
    apply(database, cancelled("a"))
    with database.transaction() as transaction:
        job_queue(QUEUE, fake, counter(QUEUE, CollectorRegistry()), 2).settle(
            transaction, [(job, sent("provider-1").result)]
        )
    assert (message(database, "a").kind, message(database, "a").state) == ("cancelled", "pending")


def test_the_trace_goes_on_with_the_job(database: Database) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    apply(database, confirmed("a").model_copy(update={"traceparent": trace}))
    assert testing.pending_jobs(database, QUEUE)[0].traceparent == trace


def test_what_was_sent_is_written_down_and_counted(database: Database) -> None:
    registry = CollectorRegistry()
    apply(database, confirmed("a"))
    testing.process_due_jobs(database, job_queue(QUEUE, Fake(sent("provider-1")), counter(QUEUE, registry), 2))
    row = message(database, "a")
    assert (row.state, row.provider_id, row.reason, row.attempts) == ("sent", "provider-1", None, 1)
    assert row.sent_at is not None
    assert count(registry, "confirmed", "sent") == 1


def test_what_is_written_in_a_second_try_is_counted_once(database: Database) -> None:
    """One that no row can hold has the others written by themselves."""
    registry = CollectorRegistry()
    apply(database, confirmed("a"), confirmed("b"), confirmed("c"))
    queue = job_queue(QUEUE, Fake(), counter(QUEUE, registry), 2)
    with database.transaction() as transaction:
        claimed = claim(transaction, QUEUE, 10, 60.0)
    outcomes: dict[str, Outcome] = {"a": sent("p"), "b": refused("smtp: 550"), "c": Retry("\0")}
    settlement = Settlement(queue, database, Metrics(CollectorRegistry()))
    assert settlement.settle([Call(job, outcomes[job.id]) for job in claimed]) == []
    assert [message(database, one).state for one in "abc"] == ["sent", "failed", "pending"]
    assert (count(registry, "confirmed", "sent"), count(registry, "confirmed", "failed")) == (1, 1)


def test_a_refusal_is_an_outcome(database: Database) -> None:
    registry = CollectorRegistry()
    apply(database, declined("a"))
    testing.process_due_jobs(
        database, job_queue(QUEUE, Fake(refused("smtp: 550 about the recipient")), counter(QUEUE, registry), 2)
    )
    row = message(database, "a")
    assert (row.state, row.provider_id, row.reason) == ("failed", None, "smtp: 550 about the recipient")
    assert row.sent_at is None
    assert testing.pending_jobs(database, QUEUE) == []
    assert count(registry, "declined", "failed") == 1


def test_a_message_that_is_to_be_sent_again_stays_queued(database: Database) -> None:
    apply(database, confirmed("a"))
    testing.process_due_jobs(
        database, job_queue(QUEUE, Fake(Retry("smtp: 451")), counter(QUEUE, CollectorRegistry()), 2)
    )
    assert len(testing.pending_jobs(database, QUEUE)) == 1
    assert message(database, "a").state == "pending"


def test_giving_up_leaves_a_row_and_a_count_to_alert_on(database: Database) -> None:
    registry = CollectorRegistry()
    apply(database, out_of_stock("a"))
    job: Job = testing.pending_jobs(database, QUEUE)[0]
    with database.transaction() as transaction:
        _give_up(job_queue(QUEUE, Fake(), counter(QUEUE, registry), 2), transaction, [job])
    assert message(database, "a").state == "failed"
    assert count(registry, "out-of-stock", "failed") == 1


def test_a_message_that_was_given_up_can_still_be_sent(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifying, "ATTEMPTS", 1)
    apply(database, out_of_stock("a"))
    provider = Fake(Retry("smtp: 451"), sent("provider-1"))
    queue = job_queue(QUEUE, provider, counter(QUEUE, CollectorRegistry()), 2)
    with running(queue, database):
        testing.eventually(lambda: message(database, "a").state == "failed")
        with database.transaction() as transaction:
            dead.redrive(transaction, queue, ["a"])
            (row,) = transaction.execute("SELECT state, reason FROM message")
            assert (row.state, row.reason) == ("pending", None)
        testing.eventually(lambda: message(database, "a").state == "sent")
    first, second = provider.notices
    assert (first.key, first.to, first.text) == (second.key, second.to, second.text)


def test_no_address_and_no_text_outlives_the_job(database: Database) -> None:
    apply(database, confirmed("a"))
    testing.process_due_jobs(database, job_queue(QUEUE, Fake(sent("p")), counter(QUEUE, CollectorRegistry()), 2))
    assert "ann@example.com" not in message(database, "a").model_dump_json()


def test_the_key_is_the_same_for_each_attempt_and_safe_in_a_header() -> None:
    assert Notice("o-1", "confirmed", "to", "text").key == Notice("o-1", "confirmed", "other", "text").key
    assert Notice("o-1", "confirmed", "to", "text").key != Notice("o-1", "declined", "to", "text").key
    assert Notice("a\r\nBcc: x\ud800", "confirmed", "to", "text").key.replace(".", "").isalnum()


def _give_up(queue: JobQueue, transaction: Transaction, jobs: list[Job]) -> None:
    assert queue.give_up is not None
    queue.give_up(transaction, jobs)


def count(registry: CollectorRegistry, kind: str, state: str) -> float | None:
    return registry.get_sample_value("oms_messages_total", {"channel": QUEUE, "kind": kind, "state": state})


def test_messages_are_counted_from_the_start() -> None:
    registry = CollectorRegistry()
    job_queue(QUEUE, Fake(), counter(QUEUE, registry), 1)
    assert {count(registry, kind, state) for kind in Kind for state in STATES} == {0.0}


def test_a_message_that_may_have_arrived_each_time_is_repeated_twice_and_no_more(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "BACKOFF_BASE", 0.01)
    monkeypatch.setattr(notifying, "AFTER_DOUBT", 0.01)
    apply(database, confirmed("a"))
    doubt, busy = InDoubt("smtp: no answer"), Retry("smtp: 451")
    provider = Fake(doubt, busy, doubt, busy, doubt, sent("never"))
    with running(job_queue(QUEUE, provider, counter(QUEUE, CollectorRegistry()), 2), database):
        testing.eventually(lambda: message(database, "a").state != "pending", 30)
    assert [notice.doubts for notice in provider.notices] == [0, 1, 1, 2, 2]
    row = message(database, "a")
    assert (row.state, row.reason) == ("unknown", "smtp: no answer, 3 times")


def test_a_message_that_may_have_arrived_is_repeated_after_minutes_since_what_broke_is_broken_for_a_while(
    database: Database,
) -> None:
    apply(database, confirmed("a"))
    queue = job_queue(QUEUE, Fake(*[InDoubt("smtp: no answer")] * 2), counter(QUEUE, CollectorRegistry()), 2)
    for least, most in ((30.0, 60.0), (60.0, 120.0)):
        testing.process_due_jobs(database, queue)
        (job,) = database.execute("SELECT extract(epoch FROM run_at - now())::float AS left FROM job")
        assert least - 5 < job.left <= most
        database.execute("UPDATE job SET run_at = now()")


def test_of_each_refund_the_customer_is_notified_once_and_of_how_the_order_ended(database: Database) -> None:
    apply(database, confirmed("a"), refunded("a", "r1"), refunded("a", "r2"), refunded("a", "r1"))
    jobs = testing.pending_jobs(database, QUEUE)
    assert sorted((job.id, job.subject, job.payload["text"]) for job in jobs) == [
        ("a", "a", "confirmed!"),
        ("r1", "a", "refunded!"),
        ("r2", "a", "refunded!"),
    ]
    fake = Fake(*(sent(f"provider-{number}") for number in range(3)))
    testing.process_due_jobs(database, job_queue(QUEUE, fake, counter(QUEUE, CollectorRegistry()), 1))
    assert {notice.key for notice in fake.notices} == {"a.confirmed", "r1.refunded", "r2.refunded"}
    assert {notice.order_id for notice in fake.notices} == {"a"}
    assert [message(database, about).state for about in ("a", "r1", "r2")] == ["sent"] * 3
    assert (message(database, "r1").refund_of, message(database, "a").refund_of) == ("a", None)
    apply(database, refunded("a", "r1"))
    assert testing.pending_jobs(database, QUEUE) == []
