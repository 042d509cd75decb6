"""Limits on messages: what is over one is held for an operator, whatever else happens."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import TypeAdapter, ValidationError
from support import chassis as testing
from support.chassis import dead_jobs
from support.notices import CUSTOMER, cancelled, confirmed, message_table

from oms_chassis.admin.acts import OperatorAct
from oms_chassis.db import Database, Transaction
from oms_chassis.jobs import dead
from oms_chassis.jobs.queue import JobQueue
from oms_chassis.jobs.worker import Worker
from oms_chassis.quotas import Quota
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event
from oms_contracts.events import OrderEvent
from oms_notifications.handlers import subscriptions
from oms_notifications.jobs import counter, job_queue
from oms_notifications.limits import Limit, PrefixQuotas, limits
from oms_notifications.messages import Kind
from oms_notifications.notice import Notice, sent
from oms_servers.postgres import PostgresServer
from oms_servers.testing import database_like

QUEUE = "sms"
HOUR = 3600


def compose(kind: Kind, order: OrderEvent) -> Notice:
    return Notice(order.order_id, kind, order.customer.phone_e164 or "", f"{kind}!")


class Everything:
    """A provider that takes all notices."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, notice: Notice) -> Any:
        self.sent.append(notice.order_id)
        return sent(notice.order_id)


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[Database]:
    with database_like(postgres, "notifications", lambda url: message_table(url).dispose()) as url:
        database = Database(url, 6)
        yield database
        database.dispose()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


class Channel:
    """The channel of a service that has these limits."""

    def __init__(self, database: Database, registry: CollectorRegistry, known: Sequence[Limit]) -> None:
        messages = counter(QUEUE, registry)
        self._database = database
        self._handle = {one.topic.name: one.handle for one in subscriptions(QUEUE, compose, known, messages)}
        self.provider = Everything()
        self.queue: JobQueue = job_queue(QUEUE, self.provider, messages, 2)

    def end(self, *events: Event[Any]) -> None:
        """Orders end, in one batch."""
        testing.deliver(self._database, self._handle[events[0].type], events)

    def due(self) -> set[str]:
        """The orders of which a message will be sent."""
        return {job.subject for job in testing.pending_jobs(self._database, QUEUE)}

    def held(self) -> dict[str, str]:
        """The reasons of the messages that are held, by order."""
        rows = self._database.execute("SELECT order_id, reason FROM message WHERE state = 'failed'")
        return {row.order_id: row.reason for row in rows}


def to(order_id: str, phone: str | None) -> Event[Any]:
    return confirmed(order_id, customer=CUSTOMER.model_copy(update={"phone_e164": phone}))


def test_without_limits_everything_is_sent(database: Database, registry: CollectorRegistry) -> None:
    channel = Channel(database, registry, limits(None))
    channel.end(*(to(f"o{n}", "+94762222222") for n in range(20)))
    assert (len(channel.due()), channel.held()) == (20, {})


def test_what_is_over_a_recipient_s_limit_is_held_with_a_reason_and_counted(
    database: Database, registry: CollectorRegistry
) -> None:
    channel = Channel(database, registry, limits(Quota(2, HOUR)))
    channel.end(to("a", "+94762222222"), to("b", "+94762222222"), to("c", "+94762222222"), to("d", "+94763333333"))
    channel.end(to("e", "+94762222222"))
    assert channel.due() == {"a", "b", "d"}
    assert channel.held() == dict.fromkeys("ce", "held: too many messages to one recipient")
    labels = {"channel": QUEUE, "kind": "confirmed", "state": "held"}
    assert registry.get_sample_value("oms_messages_total", labels) == 2


def test_what_is_held_is_not_sent_by_a_worker_that_has_room_for_it(
    database: Database, registry: CollectorRegistry
) -> None:
    channel = Channel(database, registry, limits(Quota(1, HOUR)))
    with testing.running(Worker(channel.queue, database, Metrics(CollectorRegistry()))):
        testing.eventually(lambda: database.signals.handoffs[QUEUE].room)
        channel.end(to("a", "+94762222222"), to("b", "+94762222222"))
        testing.eventually(lambda: not channel.due())
    assert channel.provider.sent == ["a"]
    assert set(channel.held()) == {"b"}
    assert [job.id for job in dead_jobs(database, QUEUE)] == ["b"]


def test_what_is_rolled_back_is_not_counted(database: Database, registry: CollectorRegistry) -> None:
    channel = Channel(database, registry, limits(Quota(1, HOUR)))
    with OperatorAct("ann", dry_run=True).transaction(database) as transaction:
        channel._handle["inventoryUpdatedEvent"](transaction, [to("a", "+94762222222"), to("b", "+94762222222")])
    labels = {"channel": QUEUE, "kind": "confirmed", "state": "held"}
    assert registry.get_sample_value("oms_messages_total", labels) == 0


def test_a_country_has_a_limit_and_the_longest_prefix_decides(database: Database, registry: CollectorRegistry) -> None:
    known = limits(None, (("+94", Quota(2, HOUR)), ("+9476", Quota(1, HOUR)), ("+", Quota(1, HOUR))))
    channel = Channel(database, registry, known)
    channel.end(
        to("mobile-1", "+94762222221"),
        to("mobile-2", "+94762222222"),
        to("fixed-1", "+94112222221"),
        to("fixed-2", "+94112222222"),
        to("fixed-3", "+94112222223"),
        to("abroad-1", "+15550000001"),
        to("abroad-2", "+4930000002"),
    )
    assert set(channel.held()) == {"mobile-2", "fixed-3", "abroad-2"}


def test_what_one_limit_holds_uses_up_no_other(database: Database, registry: CollectorRegistry) -> None:
    channel = Channel(database, registry, limits(Quota(1, HOUR), (("+", Quota(2, HOUR)),)))
    channel.end(*(to(f"same-{n}", "+94762222222") for n in range(5)), to("other", "+94763333333"))
    assert channel.due() == {"same-0", "other"}


def test_a_message_to_nobody_counts_for_nobody(database: Database, registry: CollectorRegistry) -> None:
    channel = Channel(database, registry, limits(Quota(1, HOUR), (("+", Quota(1, HOUR)),)))
    channel.end(to("a", None), to("b", None))
    assert channel.due() == {"a", "b"}


def test_a_window_that_has_ended_counts_no_more(database: Database, registry: CollectorRegistry) -> None:
    channel = Channel(database, registry, limits(Quota(1, HOUR)))
    channel.end(to("a", "+94762222222"))
    database.execute("UPDATE message_quota SET ends_at = now()")
    channel.end(to("b", "+94762222222"), to("c", "+94762222222"))
    assert set(channel.held()) == {"c"}


def test_an_operator_can_have_a_held_message_sent(database: Database, registry: CollectorRegistry) -> None:
    channel = Channel(database, registry, limits(Quota(1, HOUR)))
    channel.end(to("a", "+94762222222"), to("b", "+94762222222"))
    (job,) = dead_jobs(database, QUEUE)
    assert (job.id, job.last_error) == ("b", "held: too many messages to one recipient")
    with database.transaction() as transaction:
        assert dead.redrive(transaction, channel.queue, ["b"]) == {"b"}
    testing.process_due_jobs(database, channel.queue)
    states = {row.order_id: row.state for row in database.execute("SELECT order_id, state FROM message")}
    assert states == {"a": "sent", "b": "sent"}


def test_a_cancellation_that_is_held_replaces_what_was_held_before(
    database: Database, registry: CollectorRegistry
) -> None:
    channel = Channel(database, registry, limits(Quota(1, HOUR)))
    channel.end(to("a", "+94762222222"), to("b", "+94762222222"))
    channel.end(cancelled("b", customer=CUSTOMER.model_copy(update={"phone_e164": "+94762222222"})))
    assert [job.id for job in dead_jobs(database, QUEUE)] == ["b.cancelled"]
    assert set(channel.held()) == {"b"}


def test_a_batch_that_is_rolled_back_has_used_up_nothing(database: Database, registry: CollectorRegistry) -> None:
    channel = Channel(database, registry, limits(Quota(1, HOUR)))
    with database.engine.connect() as connection:
        channel._handle["inventoryUpdatedEvent"](Transaction(connection), [to("a", "+94762222222")])
        connection.rollback()
    channel.end(to("b", "+94762222222"))
    assert channel.held() == {}


def test_no_address_is_kept_in_a_count(database: Database, registry: CollectorRegistry) -> None:
    Channel(database, registry, limits(Quota(1, HOUR))).end(to("a", "+94762222222"))
    (row,) = database.execute("SELECT message_quota::text AS everything FROM message_quota")
    assert "762222222" not in row.everything


@pytest.mark.parametrize("given", ["94=1/60", "+94", "+94=1", "+x=1/60", "+94=0/60", "+\u0669=1/60", "+=1/60,+=2/60"])
def test_a_limit_that_cannot_be_meant_is_refused(given: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(PrefixQuotas).validate_python(given)
    assert given not in str(refused.value.errors(include_input=False))


def test_limits_are_read_from_one_line() -> None:
    assert TypeAdapter(PrefixQuotas).validate_python("+94=1000/3600, +=5/60") == (
        ("+94", Quota(1000, 3600)),
        ("+", Quota(5, 60)),
    )
