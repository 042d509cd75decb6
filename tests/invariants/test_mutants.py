"""The checker shows what the chassis's patterns are for: without the inbox, or with offsets committed before the work,
a crash violates the invariants; with the unmodified chassis, it does not.

The consumer, Kafka and Postgres are real. The handler reserves stock naively: it is safe only because no event reaches
it twice (the services' own handlers also tolerate duplicates, and so could not show the difference). The events that it
emits go to the order service's own handler. A mutant is made by giving the consumer a different component.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from kafka import KafkaProducer
from prometheus_client import CollectorRegistry
from support.broker import administering
from support.chassis import deliver, pending_events
from support.world import ITEM, World, databases

from invariants import Sources, check
from oms_chassis.db import Database, Transaction
from oms_chassis.messaging import inbox, outbox
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.messaging.kafka import KafkaSource
from oms_chassis.messaging.streams import Partition, Record
from oms_chassis.messaging.subscription import Deduplicate, Handle, Subscription
from oms_chassis.settings import Settings
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event
from oms_contracts.events import InventoryUpdated, PaymentCompleted
from oms_contracts.parts import Customer, Line
from oms_contracts.topics import INVENTORY_UPDATED, PAYMENT_COMPLETED
from oms_order import handlers
from oms_order.domain import Fact
from oms_order.metrics import OrderMetrics
from oms_servers.postgres import PostgresServer

COUNT = 40


class Crash(BaseException):
    """The end of a process, which nothing catches."""


class Source(KafkaSource):
    """The chassis's own source, which also signals when it has read everything."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.is_idle = threading.Event()

    def poll(self, seconds: float) -> Sequence[Record]:
        records = super().poll(seconds)
        lag = self.lag()
        if not records and lag and not any(lag.values()):
            self.is_idle.set()
        return records


class CrashesBeforeOffsets(Source):
    """A source that crashes after the work was committed to the database, but before its offsets are."""

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        raise Crash(offsets)


class OffsetsFirst(Source):
    """The mutant: records count as processed once they were read, as with auto-commit."""

    def poll(self, seconds: float) -> Sequence[Record]:
        records = super().poll(seconds)
        if records:
            super().commit({(one.topic, one.partition): one.offset + 1 for one in records})
        return records

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Do nothing: the offsets are committed already."""


def no_inbox(_: Transaction, events: Sequence[Event[Any]], __: Sequence[str]) -> list[Event[Any]]:
    """The mutant: every event counts as never seen."""
    return list(events)


def reserve_stock(transaction: Transaction, events: list[Event[PaymentCompleted]]) -> None:
    """Reserve each order's stock, and publish that; an event that came twice would reserve it twice."""
    rows = [{"id": e.data.order_id, "quantity": line.quantity} for e in events for line in e.data.lines]
    source = "FROM json_to_recordset(%(rows)s::json) AS r(id text, quantity int)"
    transaction.execute_rows(
        "UPDATE item SET on_hand = on_hand - asked.sum, sold = sold + asked.sum"
        f" FROM (SELECT sum(quantity) {source}) AS asked WHERE id = %(item)s",
        rows,
        item=ITEM,
    )
    transaction.execute_rows(
        f"INSERT INTO allocation (order_id, is_allocated) SELECT id, true {source} ON CONFLICT DO NOTHING", rows
    )
    transaction.execute_rows(
        f"INSERT INTO reservation (order_id, item_id, quantity) SELECT id, %(item)s, quantity {source}"
        " ON CONFLICT (order_id, item_id) DO UPDATE SET quantity = reservation.quantity + excluded.quantity",
        rows,
        item=ITEM,
    )
    outbox.emit(transaction, ((INVENTORY_UPDATED, _reserved(event)) for event in events))


def crash(_: Transaction, __: list[Event[Any]]) -> None:
    raise Crash


def _reserved(event: Event[PaymentCompleted]) -> Event[Any]:
    order = event.data
    data = InventoryUpdated(**{name: getattr(order, name) for name in InventoryUpdated.model_fields})
    return INVENTORY_UPDATED.event(data, order.order_id)


class Stage:
    """Paid orders that wait for their stock, the topic with their events, and its consumers."""

    def __init__(self, kafka: str, world: World) -> None:
        self.world = world
        self.settings = Settings(database_url=world.databases["inventory"], kafka_bootstrap=kafka)
        self.topic = replace(PAYMENT_COMPLETED, name=f"{PAYMENT_COMPLETED.name}-{uuid4().hex}")
        self.stock = Database(world.databases["inventory"], 2)
        self.orders = Database(world.databases["order"], 2)

    def place(self) -> None:
        """Write the orders, and send their events."""
        ids = [str(uuid4()) for _ in range(COUNT)]
        self.world.write_paid(ids)
        with administering(self.settings.kafka_bootstrap) as admin:
            admin.create_topics({self.topic.name: {"num_partitions": 1, "replication_factor": 1}})
        producer = KafkaProducer(bootstrap_servers=self.settings.kafka_bootstrap)
        for order_id in ids:
            producer.send(self.topic.name, self.topic.event(_paid(order_id), order_id).encode().encode())
        producer.flush(10)
        producer.close()

    def consumer(self, source: Callable[[], Source], deduplicate: Deduplicate, handle: Handle) -> Consumer:
        """Return the chassis's consumer, made of these components."""
        metrics = Metrics(CollectorRegistry())
        return Consumer("inventory", self.stock, [Subscription(self.topic, handle)], source, metrics, deduplicate)

    def source(self, kind: type[Source]) -> Source:
        return kind(self.settings, self.topic.name, [self.topic.name])

    def crash(self, kind: type[Source], deduplicate: Deduplicate, handle: Handle) -> None:
        """Consume until the crash."""
        with pytest.raises(Crash):
            self.consumer(lambda: self.source(kind), deduplicate, handle).run()

    def go_on(self, kind: type[Source], deduplicate: Deduplicate) -> None:
        """Start again and consume all records, then publish the result."""
        source = self.source(kind)
        consumer = self.consumer(lambda: source, deduplicate, reserve_stock)
        thread = threading.Thread(target=consumer.run)
        thread.start()
        finished = source.is_idle.wait(20)
        consumer.stop()
        thread.join(20)
        assert finished
        assert not thread.is_alive()
        self._relay()

    def _relay(self) -> None:
        apply = partial(handlers.apply_facts, OrderMetrics(CollectorRegistry()), Fact.STOCK_RESERVED)
        deliver(self.orders, apply, pending_events(self.stock, INVENTORY_UPDATED))
        self.world.run("inventory", "DELETE FROM outbox")

    def broken_rules(self) -> set[str]:
        return {violation.rule for violation in check(Sources(self.world.databases))}

    def close(self) -> None:
        self.stock.dispose()
        self.orders.dispose()


def _paid(order_id: str) -> PaymentCompleted:
    customer = Customer(name="A", email="a@customers.example", phone_number="1")
    lines = [Line(item_id=ITEM, name="Tea", quantity=1, unit_price=100)]
    return PaymentCompleted(
        order_id=order_id, customer=customer, lines=lines, total=100, currency="USD", payment_id=f"ch-{order_id}"
    )


@pytest.fixture(scope="module")
def urls(postgres: PostgresServer) -> dict[str, str]:
    return databases(postgres)


@pytest.fixture
def stage(kafka: str, urls: dict[str, str]) -> Iterator[Stage]:
    world = World(urls)
    world.restore()
    stage = Stage(kafka, world)
    stage.place()
    yield stage
    stage.close()


def test_the_chassis_survives_a_crash_before_the_offsets_are_committed(stage: Stage) -> None:
    stage.crash(CrashesBeforeOffsets, inbox.deduplicate, reserve_stock)
    stage.go_on(Source, inbox.deduplicate)
    assert stage.broken_rules() == set()


def test_the_chassis_survives_a_crash_in_the_middle_of_the_work(stage: Stage) -> None:
    stage.crash(Source, inbox.deduplicate, crash)
    stage.go_on(Source, inbox.deduplicate)
    assert stage.broken_rules() == set()


def test_without_the_inbox_stock_is_reserved_twice(stage: Stage) -> None:
    stage.crash(CrashesBeforeOffsets, no_inbox, reserve_stock)
    stage.go_on(Source, no_inbox)
    assert stage.broken_rules() == {"stock-adds-up", "confirmed-orders-have-their-stock"}


def test_with_offsets_first_orders_are_lost(stage: Stage) -> None:
    stage.crash(OffsetsFirst, inbox.deduplicate, crash)
    stage.go_on(OffsetsFirst, inbox.deduplicate)
    assert stage.broken_rules() == {"orders-are-terminal"}
