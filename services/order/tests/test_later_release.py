"""Orders that a later release has written: they are listed, shown, streamed, and never moved on by guess."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from support.admin import operated
from support.chassis import deliver, eventually

from oms_chassis.db import Database
from oms_chassis.runtime.service import Components
from oms_contracts import topics
from oms_contracts.events import PaymentRefunded
from oms_order import admin, cancelling, handlers, stuck_orders
from oms_order.metrics import OrderMetrics
from oms_order.repository import orders
from oms_order.requests import SAMPLE

pytestmark = pytest.mark.timeout(60)
CHECKS = {
    "orders_status": "status IN ('PENDING', 'PAID', 'CONFIRMED', 'CANCELLING', 'CANCELLED')",
    "orders_reason": "(reason IS NOT NULL) = (status LIKE 'CANCEL%%')",
}


@pytest.fixture
def later(service: Any) -> Iterator[Any]:
    """The service on the schema of a later release, which has more statuses and reasons."""
    database: Database = service.database
    for name in CHECKS:
        database.execute(f"ALTER TABLE orders DROP CONSTRAINT {name}")
    yield service
    database.execute("TRUNCATE orders, timeline")
    for name, check in CHECKS.items():
        database.execute(f"ALTER TABLE orders ADD CONSTRAINT {name} CHECK ({check})")


@pytest.fixture
def metrics() -> OrderMetrics:
    return OrderMetrics(CollectorRegistry())


def place(service: Any) -> str:
    return str(service.client.post("/order", json=SAMPLE).json()["id"])


def write(service: Any, order_id: str, status: str, reason: str | None = None, *facts: str) -> None:
    """Bring an order into a status, as the later release would."""
    about = {"id": order_id, "status": status, "reason": reason}
    service.database.execute(
        "UPDATE orders SET status = %(status)s, reason = %(reason)s, facts = %(facts)s, version = 2"
        " WHERE id = %(id)s::uuid",
        **about,
        facts=list(facts),
    )
    service.database.execute(
        "INSERT INTO timeline (order_id, position, status, reason, at)"
        " VALUES (%(id)s::uuid, 2, %(status)s, %(reason)s, now())",
        **about,
    )


def refund(service: Any, metrics: OrderMetrics, order_id: str) -> None:
    handle = next(one.handle for one in handlers.subscriptions(metrics) if one.topic is topics.PAYMENT_REFUNDED)
    data = PaymentRefunded(order_id=order_id, refund_id="r", amount=1, currency="USD")
    deliver(service.database, handle, [topics.PAYMENT_REFUNDED.event(data, order_id)])


def row(service: Any, order_id: str) -> Any:
    (found,) = service.database.execute("SELECT * FROM orders WHERE id = %(id)s::uuid", id=order_id)
    return found


@pytest.mark.parametrize(("status", "reason"), [("CANCELLED", "fraud-suspected"), ("RETURNED", None), ("ON_HOLD", "x")])
def test_an_order_of_a_later_release_is_listed_and_shown_as_it_is(later: Any, status: str, reason: str | None) -> None:
    order_id = place(later)
    write(later, order_id, status, reason)
    (listed,) = later.client.get("/order").json()
    shown = later.client.get(f"/order/{order_id}").json()
    assert [(one["status"], one.get("reason")) for one in (listed, shown, shown["timeline"][1])] == [
        (status, reason)
    ] * 3


def test_filters_find_the_other_orders_among_those_of_a_later_release(later: Any) -> None:
    theirs, ours = place(later), place(later)
    write(later, theirs, "RETURNED")
    for query in ("status=PENDING", "status=PENDING&email=test%40gmail.com"):
        assert [one["id"] for one in later.client.get(f"/order?{query}").json()] == [ours]
    page = later.client.get("/order?email=test%40gmail.com&limit=1")
    assert [one["id"] for one in later.client.get(page.links["next"]["url"]).json()] == [theirs]
    assert later.client.get("/order?status=RETURNED").status_code == 422


def test_a_stream_goes_on_through_a_status_of_a_later_release(later: Any) -> None:
    order_id, other = place(later), place(later)
    write(later, order_id, "ON_HOLD", "fraud-suspected")
    with later.client.stream("GET", f"/order/{order_id}/events") as response:
        lines = response.iter_lines()
        steps = []
        for line in lines:
            if line.startswith("data: "):
                steps.append(json.loads(line.removeprefix("data: ")))
            if len(steps) == 2:
                break
    assert [(step["status"], step.get("reason")) for step in steps] == [
        ("PENDING", None),
        ("ON_HOLD", "fraud-suspected"),
    ]
    write(later, other, "CANCELLED", "fraud-suspected")
    body = later.client.get(f"/order/{other}/events").text
    assert '"reason":"fraud-suspected"' in body


def test_operators_see_orders_of_a_later_release(later: Any, database: Database) -> None:
    stuck, odd = place(later), place(later)
    write(later, stuck, "CANCELLING", "fraud-suspected")
    write(later, odd, "RETURNED")
    made_of = Components(admin=[admin.router], states=orders.states)
    with operated("order", database, made_of) as client:
        check_what_operators_see(client, stuck, odd)


def check_what_operators_see(client: TestClient, stuck: str, odd: str) -> None:
    (found,) = client.get("/admin/orders/stuck?seconds=0").json()
    assert (found["id"], found["reason"]) == (stuck, "fraud-suspected")
    customer = {"email": "test@gmail.com"}
    assert client.post("/admin/customers/find", json=customer).json()["orders"][odd] == "RETURNED"
    exported = client.post("/admin/customers/export", json=customer).json()["orders"]
    assert {one["status"] for one in exported} == {"CANCELLING", "RETURNED"}
    assert client.post("/admin/evidence", json={"subjects": [odd]}).json()["states"] == {odd: "RETURNED"}


def test_an_order_in_a_status_of_a_later_release_keeps_the_facts_that_come(later: Any, metrics: OrderMetrics) -> None:
    order_id = place(later)
    write(later, order_id, "RETURNED", "changed-their-mind", "paid", "parcel-is-back")
    refund(later, metrics, order_id)
    found = row(later, order_id)
    assert (found.status, found.reason, found.version) == ("RETURNED", "changed-their-mind", 2)
    assert set(found.facts) == {"paid", "parcel-is-back", "refunded"}


def test_a_reason_of_a_later_release_does_not_keep_an_order_from_its_end(later: Any, metrics: OrderMetrics) -> None:
    order_id = place(later)
    write(later, order_id, "CANCELLING", "fraud-suspected", "paid", "fraud", "stock-released")
    refund(later, metrics, order_id)
    found = row(later, order_id)
    assert (found.status, found.reason) == ("CANCELLED", "fraud-suspected")
    assert "fraud" in found.facts


def test_what_an_older_release_could_not_move_on_is_moved_on_by_the_next_one(later: Any, metrics: OrderMetrics) -> None:
    """The facts are what an image without the statuses PAID and CONFIRMED would have gathered."""
    behind, waiting = place(later), place(later)
    write(later, behind, "PENDING", None, "paid", "stock-taken")
    stuck_orders.catch_up(later.database, metrics)
    assert (row(later, behind).status, row(later, waiting).status) == ("CONFIRMED", "PENDING")
    steps = later.client.get(f"/order/{behind}").json()["timeline"]
    assert [step["status"] for step in steps[2:]] == ["PAID", "CONFIRMED"]
    before = row(later, behind)
    stuck_orders.catch_up(later.database, metrics)
    assert row(later, behind) == before


def test_an_order_of_a_later_release_is_neither_cancelled_nor_timed_out_here(later: Any, metrics: OrderMetrics) -> None:
    order_id = place(later)
    write(later, order_id, "RETURNED")
    answer = later.client.post(f"/order/{order_id}/cancel")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/too-late-to-cancel")
    later.database.execute("UPDATE orders SET updated_at = now() - interval '1 day'")
    cancelling.time_out_sweep(later.database, metrics, 60.0)()
    cancelling.republish_sweep(later.database, 60.0)()
    assert row(later, order_id).status == "RETURNED"


def test_the_periodic_task_moves_on_what_was_left_behind(later: Any) -> None:
    order_id = place(later)
    write(later, order_id, "PAID", None, "paid", "stock-taken")
    later.task("left-behind")
    assert eventually(lambda: row(later, order_id).status == "CONFIRMED")
