"""What events of other services do to orders, on a real database."""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs
from support.chassis import deliver

from oms_chassis.admin.acts import OperatorAct
from oms_chassis.db import Database, Transaction
from oms_contracts import topics
from oms_contracts.envelope import Event
from oms_contracts.events import (
    GATEWAY_FAULTS,
    InventoryRejected,
    InventoryUpdated,
    ItemUpdated,
    PaymentCompleted,
    PaymentFailed,
    PaymentRefunded,
)
from oms_contracts.parts import Customer, Line, Shortage
from oms_contracts.topics import Topic
from oms_order import handlers, stuck_orders
from oms_order.metrics import OrderMetrics
from oms_order.requests import SAMPLE

UNKNOWN = "0198c0de-0000-7000-8000-000000000000"  # fixed: pytest-xdist wants the same names in each worker

ORDER: dict[str, Any] = {
    "customer": Customer(name="A", email="a@example.com", phone_number="1"),
    "lines": [Line(item_id="Item1", name="Item 1", quantity=1, unit_price=100)],
    "total": 100,
    "currency": "USD",
}
HISTORIES: dict[tuple[Topic, ...], tuple[str, str | None]] = {
    (topics.PAYMENT_COMPLETED,): ("PAID", None),
    (topics.PAYMENT_FAILED,): ("CANCELLED", "payment-declined"),
    (topics.PAYMENT_COMPLETED, topics.INVENTORY_UPDATED): ("CONFIRMED", None),
    (topics.PAYMENT_COMPLETED, topics.INVENTORY_REJECTED): ("CANCELLING", "out-of-stock"),
    (topics.PAYMENT_COMPLETED, topics.INVENTORY_REJECTED, topics.PAYMENT_REFUNDED): ("CANCELLED", "out-of-stock"),
}


def event(topic: Topic, order_id: str) -> Event[Any]:
    common = {**ORDER, "order_id": order_id}
    data: dict[Topic, Callable[[], Any]] = {
        topics.PAYMENT_COMPLETED: lambda: PaymentCompleted(**common, payment_id="p"),
        topics.PAYMENT_FAILED: lambda: PaymentFailed(**common, reason="card_declined"),
        topics.INVENTORY_UPDATED: lambda: InventoryUpdated(**common),
        topics.INVENTORY_REJECTED: lambda: InventoryRejected(
            **common, shortages=[Shortage(item_id="Item1", requested=1, available=0)]
        ),
        topics.PAYMENT_REFUNDED: lambda: PaymentRefunded(order_id=order_id, refund_id="r", amount=100, currency="USD"),
    }
    return topic.event(data[topic](), order_id)


class Consuming:
    """The handlers of the service by topic, with their metrics."""

    def __init__(self, database: Database) -> None:
        self.registry = CollectorRegistry()
        self.metrics = OrderMetrics(self.registry)
        self.database = database
        self._handles = {one.topic: one.handle for one in handlers.subscriptions(self.metrics)}

    def consume(self, topic: Topic, *orders: str) -> None:
        self.take(topic, *(event(topic, order_id) for order_id in orders))

    def take(self, topic: Topic, *events: Event[Any]) -> None:
        deliver(self.database, self._handles[topic], list(events))

    def handle(self, topic: Topic, transaction: Transaction, *events: Event[Any]) -> None:
        self._handles[topic](transaction, list(events))

    def update(self, *items: ItemUpdated) -> None:
        events = [topics.ITEM_UPDATED.event(item, item.item_id) for item in items]
        deliver(self.database, self._handles[topics.ITEM_UPDATED], events)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def consuming(service: Any) -> Consuming:
    return Consuming(service.database)


def place(service: Any) -> str:
    return str(service.client.post("/order", json=SAMPLE).json()["id"])


def shown(service: Any, order_id: str) -> tuple[str, str | None]:
    order = service.client.get(f"/order/{order_id}").json()
    return order["status"], order.get("reason")


@pytest.mark.parametrize("history", HISTORIES)
def test_a_history_leads_to_its_status(service: Any, consuming: Consuming, history: tuple[Topic, ...]) -> None:
    order_id = place(service)
    for topic in history:
        consuming.consume(topic, order_id)
    assert shown(service, order_id) == HISTORIES[history]


def test_a_dry_run_is_neither_counted_nor_logged(service: Any, consuming: Consuming) -> None:
    """It would raise the alerts about what it only tries, and make the time until orders are confirmed longer."""
    order_id = place(service)
    with OperatorAct("ann", dry_run=True).transaction(service.database) as transaction, capture_logs() as logged:
        for topic in (topics.INVENTORY_UPDATED, topics.INVENTORY_REJECTED):
            for about in (order_id, UNKNOWN):
                consuming.handle(topic, transaction, event(topic, about))
    assert (logged, shown(service, order_id)) == ([], ("PENDING", None))
    counters = [one for metric in consuming.registry.collect() for one in metric.samples if metric.type == "counter"]
    assert {one.value for one in counters if one.name.endswith("_total")} == {0.0}
    assert consuming.value("oms_order_confirmation_seconds_count") == 0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), history=st.sampled_from(list(HISTORIES)))
def test_facts_in_any_order_lead_to_the_same_status(
    service: Any, consuming: Consuming, data: st.DataObject, history: tuple[Topic, ...]
) -> None:
    order_id = place(service)
    for topic in data.draw(st.permutations(history + history[:2])):
        consuming.consume(topic, order_id)
    assert shown(service, order_id) == HISTORIES[history]
    rows = service.database.execute("SELECT position FROM timeline WHERE order_id = %(id)s ORDER BY 1", id=order_id)
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))


def test_the_timeline_of_an_overtaken_payment_shows_the_payment(service: Any, consuming: Consuming) -> None:
    order_id = place(service)
    consuming.consume(topics.INVENTORY_UPDATED, order_id)
    consuming.consume(topics.PAYMENT_COMPLETED, order_id)
    timeline = service.client.get(f"/order/{order_id}").json()["timeline"]
    assert [step["status"] for step in timeline] == ["PENDING", "PAID", "CONFIRMED"]
    times = [step["at"] for step in timeline]
    assert times == sorted(times)


def test_a_refund_that_overtook_its_cause_waits_for_it(service: Any, consuming: Consuming) -> None:
    order_id = place(service)
    consuming.consume(topics.PAYMENT_COMPLETED, order_id)
    consuming.consume(topics.PAYMENT_REFUNDED, order_id)
    assert shown(service, order_id) == ("PAID", None)
    consuming.consume(topics.INVENTORY_REJECTED, order_id)
    assert shown(service, order_id) == ("CANCELLED", "out-of-stock")


@pytest.mark.parametrize("reason", sorted(GATEWAY_FAULTS))
def test_a_gateway_that_failed_has_declined_no_card(service: Any, consuming: Consuming, reason: str) -> None:
    unserved, declined = place(service), place(service)
    failed = PaymentFailed(**ORDER, order_id=unserved, reason=reason)
    consuming.take(
        topics.PAYMENT_FAILED,
        topics.PAYMENT_FAILED.event(failed, unserved),
        event(topics.PAYMENT_FAILED, declined),
    )
    assert shown(service, unserved) == ("CANCELLED", "payment-unavailable")
    assert shown(service, declined) == ("CANCELLED", "payment-declined")


def test_a_batch_moves_all_its_orders(service: Any, consuming: Consuming) -> None:
    orders = [place(service) for _ in range(20)]
    consuming.consume(topics.PAYMENT_COMPLETED, *orders[:15])
    consuming.consume(topics.PAYMENT_FAILED, *orders[15:])
    consuming.consume(topics.INVENTORY_UPDATED, *orders[:10], *orders[:10])
    counted = service.database.execute("SELECT status, count(*) AS n FROM orders GROUP BY 1")
    assert {row.status: row.n for row in counted} == {"CONFIRMED": 10, "PAID": 5, "CANCELLED": 5}
    assert consuming.value("oms_orders_total", status="CONFIRMED") == 10


@pytest.mark.parametrize("subject", [UNKNOWN, "not-an-id", "urn:uuid:00000000-0000-0000-0000-000000000000"])
def test_a_fact_about_an_unknown_order_is_counted_and_harms_nobody(
    service: Any, consuming: Consuming, subject: str
) -> None:
    order_id = place(service)
    consuming.consume(topics.PAYMENT_COMPLETED, order_id, subject)
    assert shown(service, order_id) == ("PAID", None)
    assert consuming.value("oms_unknown_order_events_total", fact="paid") == 1


def test_a_fact_that_contradicts_the_order_is_counted_and_changes_nothing(service: Any, consuming: Consuming) -> None:
    order_id = place(service)
    consuming.consume(topics.INVENTORY_UPDATED, order_id)
    consuming.consume(topics.INVENTORY_REJECTED, order_id)
    assert shown(service, order_id) == ("CONFIRMED", None)
    assert consuming.value("oms_orders_contradictions_total", fact="stock-rejected") == 1


def test_facts_that_come_at_once_to_several_replicas_do_not_block_each_other(
    service: Any, consuming: Consuming
) -> None:
    orders = [place(service) for _ in range(30)]
    batches = [
        (topic, orders[::step])
        for topic in (topics.PAYMENT_COMPLETED, topics.INVENTORY_UPDATED)
        for step in (1, -1, 1, -1)
    ]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda batch: consuming.consume(batch[0], *batch[1]), batches))
    assert {shown(service, order_id) for order_id in orders} == {("CONFIRMED", None)}
    assert service.rows("timeline") == 90


def test_of_an_item_the_highest_version_is_kept(consuming: Consuming) -> None:
    versions = [
        ItemUpdated(item_id="new", name=f"v{n}", unit_price=n, currency="USD", available=n > 1, version=n)
        for n in range(1, 4)
    ]
    for first, second, third in itertools.permutations(versions):
        consuming.database.execute("DELETE FROM item WHERE id = 'new'")
        consuming.update(first, second)
        consuming.update(third)
        (row,) = consuming.database.execute("SELECT name, unit_price, available, version FROM item WHERE id = 'new'")
        assert tuple(row) == ("v3", 3, True, 3)


def test_orders_are_counted_by_the_step_that_holds_them(service: Any, consuming: Consuming) -> None:
    orders = [place(service) for _ in range(6)]
    service.database.execute("DELETE FROM outbox WHERE id > (SELECT min(id) FROM outbox)")
    consuming.consume(topics.PAYMENT_COMPLETED, *orders[2:5])
    consuming.consume(topics.INVENTORY_REJECTED, orders[4])
    consuming.consume(topics.INVENTORY_UPDATED, orders[5])
    service.database.execute(
        "UPDATE orders SET updated_at = now() - interval '1 hour' WHERE id <> %(id)s", id=orders[3]
    )
    stuck_orders.measure_backlog(service.database, consuming.metrics, 300)
    for step, unfinished, stuck in (("relay", 1, 1), ("payment", 1, 1), ("inventory", 2, 1), ("refund", 1, 1)):
        assert consuming.value("oms_orders_unfinished", step=step) == unfinished
        assert consuming.value("oms_orders_stuck", step=step) == stuck


def test_the_time_from_acceptance_to_confirmed_is_measured_once(service: Any, consuming: Consuming) -> None:
    quick, declined, placed = (place(service) for _ in range(3))
    slow = str(UUID(int=UUID(placed).int - (20_000 << 80)))  # twenty seconds older: ids begin with their milliseconds
    service.database.execute("UPDATE orders SET id = %(slow)s WHERE id = %(placed)s", slow=slow, placed=placed)
    consuming.consume(topics.PAYMENT_COMPLETED, slow, quick)
    assert consuming.value("oms_order_confirmation_seconds_count") == 0
    consuming.consume(topics.INVENTORY_UPDATED, slow, quick)
    consuming.consume(topics.INVENTORY_UPDATED, slow, quick)  # the same again
    consuming.consume(topics.PAYMENT_FAILED, declined)
    assert consuming.value("oms_order_confirmation_seconds_count") == 2
    assert consuming.value("oms_order_confirmation_seconds_bucket", le="10.0") == 1
    assert consuming.value("oms_order_confirmation_seconds_bucket", le="30.0") == 2
