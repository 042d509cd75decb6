"""Cancelling an order: until when, what is published, and how the order ends."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from support.chassis import deliver, pending_events

from oms_contracts import topics
from oms_contracts.envelope import Event
from oms_contracts.events import InventoryReleased, PaymentRefunded
from oms_contracts.topics import Topic
from oms_order import admin, cancelling, handlers, stuck_orders
from oms_order.metrics import OrderMetrics
from oms_order.requests import SAMPLE

UNKNOWN = "0198c0de-0000-7000-8000-000000000000"
REFUNDED, RELEASED = topics.PAYMENT_REFUNDED, topics.INVENTORY_RELEASED


def place(service: Any) -> str:
    return str(service.client.post("/order", json=SAMPLE).json()["id"])


def cancel(service: Any, order_id: str, key: str | None = None, **body: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return service.client.post(f"/order/{order_id}/cancel", headers=headers, **body)


def shown(service: Any, order_id: str) -> tuple[str, str | None]:
    order = service.client.get(f"/order/{order_id}").json()
    return order["status"], order.get("reason")


def cancellations(service: Any) -> list[Event[Any]]:
    return pending_events(service.database, topics.ORDER_CANCELLED)


@pytest.fixture
def learn(service: Any) -> Callable[..., None]:
    """Let the service consume events of these topics about an order."""
    handle = {one.topic: one.handle for one in handlers.subscriptions(OrderMetrics(CollectorRegistry()))}

    def consume(order_id: str, *topics_of: Topic) -> None:
        for topic in topics_of:
            deliver(service.database, handle[topic], [_event(topic, order_id, service)])

    return consume


def _event(topic: Topic, order_id: str, service: Any) -> Event[Any]:
    if topic is REFUNDED:
        return topic.event(PaymentRefunded(order_id=order_id, refund_id="none", amount=0, currency="USD"), order_id)
    if topic is RELEASED:
        return topic.event(InventoryReleased(order_id=order_id, released=[]), order_id)
    (created,) = [e.data for e in pending_events(service.database, topics.ORDER_CREATED) if e.subject == order_id]
    more = {
        "payment_id": "p",
        "reason": "card-declined",
        "shortages": [{"itemId": "1", "requested": 1, "available": 0}],
    }
    return topic.event(topic.data.model_validate({**created.model_dump(by_alias=True), **more}), order_id)


def test_a_cancelled_order_is_cancelling_for_its_customer_and_says_why(service: Any) -> None:
    order_id = place(service)
    answer = cancel(service, order_id, json={"reason": "Too slow"})
    order = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"/order/{order_id}")
    assert (order["status"], order["reason"]) == ("CANCELLING", "customer")
    assert [step.get("note") for step in order["timeline"]] == [None, "Too slow"]
    assert service.client.get(f"/order/{order_id}").json() == order


@pytest.mark.parametrize("body", [{}, {"content": b""}, {"json": {}}, {"json": {"reason": None}}])
def test_no_reason_need_be_given(service: Any, body: dict[str, Any]) -> None:
    order_id = place(service)
    assert cancel(service, order_id, **body).status_code == 202
    assert shown(service, order_id) == ("CANCELLING", "customer")


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"json": {"reason": 1}}, 422, "reason"),
        ({"json": {"reason": "x" * 201}}, 422, "reason"),
        ({"json": {"reason": "a\nb"}}, 422, "reason"),
        ({"json": {"because": "of it"}}, 422, "because"),
        ({"json": ["no"]}, 422, "body"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, None),
    ],
    ids=["number", "long", "control", "unknown", "list", "malformed"],
)
def test_an_invalid_body_is_refused_and_changes_nothing(
    service: Any, body: dict[str, Any], status: int, field: str | None
) -> None:
    order_id = place(service)
    refused = service.client.post(f"/order/{order_id}/cancel", **body)
    assert refused.status_code == status
    assert [error["field"] for error in refused.json().get("errors", [])] == ([field] if field else [])
    assert shown(service, order_id) == ("PENDING", None)


@pytest.mark.parametrize("order_id", [UNKNOWN, "no-id"])
def test_an_order_that_there_is_not_cannot_be_cancelled(service: Any, order_id: str) -> None:
    refused = cancel(service, order_id)
    assert (refused.status_code, refused.json()["type"]) == (404, "/problems/order-not-found")


def test_the_others_are_sent_all_that_they_need_once(service: Any) -> None:
    order_id = place(service)
    for _ in range(3):
        assert cancel(service, order_id).status_code == 202
    (event,) = cancellations(service)
    (created,) = pending_events(service.database, topics.ORDER_CREATED)
    assert (event.subject, event.data.reason) == (order_id, "customer")
    for name in ("customer", "lines", "total", "currency"):
        assert getattr(event.data, name) == getattr(created.data, name)


def test_an_order_that_is_cancelled_at_once_from_everywhere_is_cancelled_once(service: Any) -> None:
    order_id = place(service)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: cancel(service, order_id), range(8)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, answers[0].content)}
    assert len(cancellations(service)) == 1


def test_a_paid_order_can_be_cancelled(service: Any, learn: Callable[..., None]) -> None:
    order_id = place(service)
    learn(order_id, topics.PAYMENT_COMPLETED)
    assert cancel(service, order_id).json()["status"] == "CANCELLING"


@pytest.mark.parametrize(
    ("end", "detail"),
    [
        (topics.INVENTORY_UPDATED, "The order is CONFIRMED"),
        (topics.PAYMENT_FAILED, "The order is CANCELLED (payment-declined)"),
        (topics.INVENTORY_REJECTED, "The order is CANCELLING (out-of-stock)"),
    ],
)
def test_an_order_that_has_come_to_another_end_cannot_be_cancelled(
    service: Any, learn: Callable[..., None], end: Topic, detail: str
) -> None:
    order_id = place(service)
    learn(order_id, end)
    before = shown(service, order_id)
    refused = cancel(service, order_id)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/too-late-to-cancel")
    assert refused.json()["detail"] == detail
    assert (shown(service, order_id), cancellations(service)) == (before, [])


def test_a_confirmed_order_can_be_cancelled_for_as_long_as_the_setting_says(
    start: Callable[..., Any], learn: Callable[..., None]
) -> None:
    service = start(cancel_seconds=60.0)
    early, late = place(service), place(service)
    for order_id in (early, late):
        learn(order_id, topics.INVENTORY_UPDATED)
    service.database.execute("UPDATE timeline SET at = at - interval '61 s' WHERE order_id = %(id)s", id=late)
    assert cancel(service, late).status_code == 409
    assert cancel(service, early).status_code == 202
    learn(early, REFUNDED, RELEASED)
    steps = [step["status"] for step in service.client.get(f"/order/{early}").json()["timeline"]]
    assert steps == ["PENDING", "PAID", "CONFIRMED", "CANCELLING", "CANCELLED"]


def test_of_an_erased_order_that_is_cancelled_payment_and_inventory_are_notified_and_not_its_customer(
    start: Callable[..., Any], learn: Callable[..., None]
) -> None:
    service = start(cancel_seconds=60.0)
    order_id = place(service)
    learn(order_id, topics.INVENTORY_UPDATED)
    with service.database.transaction() as transaction:
        admin.erase(transaction, [order_id])
    assert cancel(service, order_id).status_code == 202
    (event,) = cancellations(service)
    assert (event.subject, event.data.customer.is_erased) == (order_id, True)
    learn(order_id, REFUNDED, RELEASED)
    assert shown(service, order_id) == ("CANCELLED", "customer")


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_a_clock_that_was_set_back_does_not_extend_the_time_to_cancel(
    start: Callable[..., Any], learn: Callable[..., None], seconds: float
) -> None:
    service = start(cancel_seconds=seconds)
    order_id = place(service)
    learn(order_id, topics.INVENTORY_UPDATED)
    service.database.execute("UPDATE timeline SET at = at + interval '90 min' WHERE order_id = %(id)s", id=order_id)
    assert cancel(service, order_id).status_code == (202 if seconds else 409)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ([REFUNDED], RELEASED),
        ([RELEASED], REFUNDED),
        ([topics.PAYMENT_COMPLETED, REFUNDED], RELEASED),
        ([topics.INVENTORY_UPDATED, RELEASED], REFUNDED),
        ([topics.INVENTORY_REJECTED], REFUNDED),
        ([], topics.PAYMENT_FAILED),
    ],
)
def test_it_is_cancelled_once_both_its_money_and_its_stock_are_back(
    service: Any, learn: Callable[..., None], first: list[Topic], then: Topic
) -> None:
    order_id = place(service)
    cancel(service, order_id)
    learn(order_id, *first)
    assert shown(service, order_id) == ("CANCELLING", "customer")
    learn(order_id, then)
    assert shown(service, order_id) == ("CANCELLED", "customer")
    assert cancel(service, order_id).json()["status"] == "CANCELLED"


def test_a_key_gets_its_first_answer_again_whatever_became_of_the_order(
    service: Any, learn: Callable[..., None]
) -> None:
    order_id = place(service)
    first = cancel(service, order_id, "key", json={"reason": "Too slow"})
    learn(order_id, REFUNDED, RELEASED)
    again = cancel(service, order_id, "key", json={"reason": "Too slow"})
    assert (again.status_code, again.content) == (202, first.content)
    assert [one.headers.get("idempotent-replayed") for one in (first, again)] == [None, "true"]
    assert shown(service, order_id) == ("CANCELLED", "customer")


def test_a_key_that_was_used_for_something_else_is_refused(service: Any) -> None:
    placed = service.client.post("/order", json=SAMPLE, headers={"Idempotency-Key": "placing"}).json()["id"]
    other = place(service)
    assert cancel(service, placed, "first").status_code == 202
    for order_id, key, body in [
        (placed, "placing", {}),
        (other, "first", {}),
        (placed, "first", {"json": {"reason": "x"}}),
    ]:
        refused = cancel(service, order_id, key, **body)
        assert (refused.status_code, refused.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert service.client.post("/order", json=SAMPLE, headers={"Idempotency-Key": "first"}).status_code == 422
    assert shown(service, other) == ("PENDING", None)


@pytest.mark.parametrize("first", ["", "{}", "null", '{"reason": null}', '{"reason": " "}'])
@pytest.mark.parametrize("again", ["", '{"reason": null}', '{"reason": ""}'])
def test_under_a_key_an_empty_reason_counts_as_none(service: Any, first: str, again: str) -> None:
    order_id, json = place(service), {"Content-Type": "application/json"}
    headers = {"Idempotency-Key": "key"} | json
    answers = [
        service.client.post(f"/order/{order_id}/cancel", headers=headers, content=body) for body in (first, again)
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].content == answers[1].content


def test_a_text_that_is_not_a_key_is_refused(service: Any) -> None:
    order_id = place(service)
    assert cancel(service, order_id, "two words").json()["type"] == "/problems/bad-idempotency-key"
    assert shown(service, order_id) == ("PENDING", None)


def test_an_order_that_waits_for_too_long_is_given_up_and_the_others_are_left(
    service: Any, learn: Callable[..., None]
) -> None:
    unpaid, unsupplied, confirmed, fresh = (place(service) for _ in range(4))
    learn(unsupplied, topics.PAYMENT_COMPLETED)
    learn(confirmed, topics.INVENTORY_UPDATED)
    service.database.execute("UPDATE orders SET updated_at = now() - interval '1 hour' WHERE id <> %(id)s", id=fresh)
    for _ in range(2):
        cancelling.time_out_sweep(service.database, OrderMetrics(CollectorRegistry()), 3000)()
    assert {(e.subject, e.data.reason) for e in cancellations(service)} == {
        (unpaid, "timed-out"),
        (unsupplied, "timed-out"),
    }
    assert len(cancellations(service)) == 2
    learn(unpaid, topics.PAYMENT_COMPLETED, REFUNDED, RELEASED)
    assert shown(service, unpaid) == ("CANCELLED", "timed-out")
    assert shown(service, unsupplied) == ("CANCELLING", "timed-out")
    assert shown(service, confirmed) == ("CONFIRMED", None)
    assert shown(service, fresh) == ("PENDING", None)


def test_payment_and_inventory_are_asked_again_about_what_does_not_come_back(
    service: Any, learn: Callable[..., None]
) -> None:
    late, fresh, done, rejected = (place(service) for _ in range(4))
    for order_id in (late, fresh, done):
        cancel(service, order_id)
    learn(done, REFUNDED, RELEASED)
    learn(rejected, topics.INVENTORY_REJECTED)
    service.database.execute("UPDATE orders SET updated_at = now() - interval '1 h' WHERE id <> %(id)s", id=fresh)
    for _ in range(2):
        cancelling.republish_sweep(service.database, 300)()
    assert [e.subject for e in cancellations(service) if e.data.again] == [late, late]
    learn(late, REFUNDED, RELEASED)
    cancelling.republish_sweep(service.database, 300)()
    assert len([e for e in cancellations(service) if e.data.again]) == 2


def test_an_order_that_no_event_can_hold_keeps_no_other_from_being_given_up(service: Any) -> None:
    odd, late = place(service), place(service)
    service.database.execute("DELETE FROM order_line WHERE order_id = %(id)s", id=odd)
    service.database.execute("UPDATE orders SET updated_at = now() - interval '1 hour'")
    with pytest.raises(TypeError):  # and the task has failed, which is counted
        cancelling.time_out_sweep(service.database, OrderMetrics(CollectorRegistry()), 3000)()
    assert shown(service, late) == ("CANCELLING", "timed-out")


@pytest.mark.parametrize("most", [500, 3])
def test_however_many_orders_no_event_can_hold_what_follows_them_is_given_up(
    service: Any, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(cancelling, "MOST", most)
    odd = [place(service) for _ in range(7)]
    late = place(service)
    service.database.execute("DELETE FROM order_line WHERE order_id = ANY(%(ids)s::uuid[])", ids=odd)
    service.database.execute("UPDATE orders SET updated_at = now() - interval '1 day'")
    for _ in range(3):
        with suppress(TypeError):
            service.task("deadlines")
    assert shown(service, late) == ("CANCELLING", "timed-out")


def test_an_order_that_no_event_can_hold_keeps_no_other_from_being_asked_for_again(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancelling, "MOST", 2)
    odd, late, behind = (place(service) for _ in range(3))
    for order_id in (odd, late, behind):
        cancel(service, order_id)
    service.database.execute("DELETE FROM order_line WHERE order_id = %(id)s", id=odd)
    service.database.execute("UPDATE orders SET updated_at = now() - interval '1 hour'")
    republish = cancelling.republish_sweep(service.database, 300)
    with pytest.raises(TypeError):  # and the task has failed, which is counted
        republish()
    assert [e.subject for e in cancellations(service) if e.data.again] == [late]
    republish()
    assert [e.subject for e in cancellations(service) if e.data.again] == [late, behind]


def test_an_order_that_somebody_holds_keeps_no_other_waiting(service: Any, learn: Callable[..., None]) -> None:
    """As an operator's session that was left open does, for hours."""
    metrics = OrderMetrics(CollectorRegistry())
    late, held, unanswered, behind = (place(service) for _ in range(4))
    cancel(service, unanswered)
    service.database.execute(
        "UPDATE orders SET updated_at = now() - interval '1 hour',"
        " facts = CASE WHEN id = %(id)s THEN '{paid}'::text[] ELSE facts END",
        id=behind,
    )
    with service.database.transaction() as other:
        other.execute("SELECT 1 FROM orders WHERE id = %(id)s FOR UPDATE", id=held)
        stuck_orders.catch_up(service.database, metrics)
        assert shown(service, behind) == ("PAID", None)
        cancelling.time_out_sweep(service.database, metrics, 3000)()
        assert shown(service, late) == ("CANCELLING", "timed-out")
        other.execute("SELECT 1 FROM orders WHERE id = %(id)s FOR UPDATE", id=late)
        cancelling.republish_sweep(service.database, 300)()
        assert [e.subject for e in cancellations(service) if e.data.again] == [unanswered]
    cancelling.time_out_sweep(service.database, metrics, 3000)()
    assert shown(service, held) == ("CANCELLING", "timed-out")


def test_nobody_is_asked_again_about_an_order_that_others_may_have_deleted(
    start: Callable[..., Any], service: Any
) -> None:
    """Its customer would be notified once more, because the record of the first message is deleted, too."""
    keeping = start(order_days=31.0)
    order_id = place(keeping)
    cancel(keeping, order_id)
    service.database.execute(
        "UPDATE orders SET updated_at = now() - interval '30 days', placed_at = now() - interval '32 days'"
    )
    keeping.task("cancellations")
    assert [e.subject for e in cancellations(service) if e.data.again] == []
    service.task("cancellations")  # where everything is kept for ever
    assert [e.subject for e in cancellations(service) if e.data.again] == [order_id]


def test_no_order_is_asked_about_twice_while_others_wait(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancelling, "MOST", 2)
    late = [place(service) for _ in range(3)]
    for order_id in late:
        cancel(service, order_id)
    service.database.execute("UPDATE orders SET updated_at = now() - interval '1 h'")
    for _ in range(3):
        service.task("cancellations")
    asked = [e.subject for e in cancellations(service) if e.data.again]
    assert asked == [*late, *late[:2]]


@pytest.mark.parametrize("key", ["", "two words", "k" * 201])
def test_an_invalid_key_cancels_nothing(service: Any, key: str) -> None:
    location = service.client.post("/order", json=SAMPLE).headers["location"]
    response = service.client.post(f"{location}/cancel", headers={"Idempotency-Key": key})
    assert (response.status_code, response.json()["type"]) == (422, "/problems/bad-idempotency-key")
    assert service.client.get(location).json()["status"] == "PENDING"


def test_orders_are_given_up_only_once_everything_that_was_said_about_them_is_read(service: Any) -> None:
    """After a restore, or a pause of the consumer, an order may be confirmed long since, by an event that waits."""
    (deadlines,) = [task for task in service.components.tasks if task.name == "deadlines"]
    assert deadlines.kept_up == 60.0
