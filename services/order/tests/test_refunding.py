"""Refunding a confirmed order: what may be, what is published, and what the order shows of it."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from support.admin import operated
from support.chassis import deliver, pending_events

from oms_chassis.runtime.service import Components
from oms_contracts import topics
from oms_contracts.envelope import Event
from oms_contracts.events import (
    InventoryReleased,
    InventoryUpdated,
    PaymentRefunded,
    RefundCompleted,
    RefundFailed,
)
from oms_order import admin, handlers, refunding
from oms_order.metrics import OrderMetrics
from oms_order.refunds import RefundStatus
from oms_order.repository import orders
from oms_order.requests import SAMPLE

UNKNOWN = "0198c0de-0000-7000-8000-000000000000"
ITEMS = [{"id": "Item1", "quantity": 2}, {"id": "Item2", "quantity": 3}]  # at 100 and 200: 800 in all
TOTAL = 800
ONE = {"lines": [{"id": "Item1", "quantity": 1}]}


def place(service: Any) -> str:
    return str(service.client.post("/order", json={**SAMPLE, "items": ITEMS}).json()["id"])


def learn(service: Any, *events: Event[Any]) -> None:
    """Let the service consume events of one type, in one batch."""
    handle = {one.topic.name: one.handle for one in handlers.subscriptions(OrderMetrics(CollectorRegistry()))}
    deliver(service.database, handle[events[0].type], list(events))


def confirm(service: Any, order_id: str) -> str:
    (created,) = [e.data for e in pending_events(service.database, topics.ORDER_CREATED) if e.subject == order_id]
    data = InventoryUpdated.model_validate(created.model_dump(by_alias=True))
    learn(service, topics.INVENTORY_UPDATED.event(data, order_id))
    return order_id


@pytest.fixture
def order(service: Any) -> str:
    """A confirmed one."""
    return confirm(service, place(service))


def refund(service: Any, order_id: str, body: Any, key: str | None = None) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return service.client.post(f"/order/{order_id}/refund", json=body, headers=headers)


def requests(service: Any) -> list[Event[Any]]:
    return pending_events(service.database, topics.ORDER_REFUND_REQUESTED)


def shown(service: Any, order_id: str) -> Any:
    return service.client.get(f"/order/{order_id}").json()


def completed(order_id: str, refund_id: str, number: int | None = None) -> Event[RefundCompleted]:
    data = RefundCompleted(
        order_id=order_id, refund_id=refund_id, amount=100, currency="USD", reference="re-1", outcome=number
    )
    return topics.REFUND_COMPLETED.event(data, order_id)


def complete(service: Any, order_id: str, refund_id: str, number: int | None = None) -> None:
    learn(service, completed(order_id, refund_id, number))


def fail(service: Any, order_id: str, refund_id: str, number: int | None = None) -> None:
    data = RefundFailed(
        order_id=order_id, refund_id=refund_id, amount=100, currency="USD", reason="gateway-refused", outcome=number
    )
    learn(service, topics.REFUND_FAILED.event(data, order_id))


def test_a_line_is_refunded_at_its_price_and_the_others_are_sent_all_that_they_need(service: Any, order: str) -> None:
    answer = refund(service, order, {**ONE, "restock": True, "reason": "Broken"})
    assert (answer.status_code, answer.headers["location"]) == (202, f"/order/{order}")
    made = answer.json()
    assert (made["status"], made["amount"], made["reason"]) == ("PENDING", 100, "Broken")
    (event,) = requests(service)
    assert (event.subject, event.data.refund_id, event.data.amount) == (order, made["id"], 100)
    assert (event.data.currency, event.data.restock) == ("USD", True)
    assert [(line.item_id, line.name, line.quantity) for line in event.data.lines] == [("Item1", "Item 1", 1)]


def test_an_amount_is_refunded_without_any_line(service: Any, order: str) -> None:
    made = refund(service, order, {"amount": 250}).json()
    assert (made["amount"], made["lines"], made["restock"]) == (250, [], False)
    (event,) = requests(service)
    assert (event.data.amount, event.data.lines, event.data.restock) == (250, [], False)


def test_the_order_stays_confirmed_and_shows_its_refunds_and_who_asked_why(service: Any, order: str) -> None:
    made = refund(service, order, {**ONE, "reason": "Broken"}).json()
    after = shown(service, order)
    assert (after["status"], after["refunds"], after["refunded"]) == ("CONFIRMED", [made], 0)
    step = after["timeline"][-1]
    assert (step["position"], step["status"], step["note"]) == (4, "CONFIRMED", "Broken")
    assert (step["refundId"], step["refundStatus"]) == (made["id"], "PENDING")


def test_an_order_of_which_nothing_is_refunded_reads_as_before(service: Any, order: str) -> None:
    assert {"refunds", "refunded"}.isdisjoint(shown(service, order))


def test_a_refund_that_is_completed_is_shown_and_its_customer_notified_once(service: Any, order: str) -> None:
    made = refund(service, order, ONE).json()
    for _ in range(2):
        complete(service, order, made["id"])
    fail(service, order, made["id"])
    after = shown(service, order)
    assert (after["status"], after["refunded"]) == ("CONFIRMED", 100)
    assert [(one["id"], one["status"]) for one in after["refunds"]] == [(made["id"], "SUCCEEDED")]
    assert [step.get("refundStatus") for step in after["timeline"]] == [None, None, None, "PENDING", "SUCCEEDED"]
    (event,) = pending_events(service.database, topics.ORDER_REFUNDED)
    assert (event.data.refund_id, event.data.amount, event.data.customer.name) == (made["id"], 100, "Anjana")
    assert [(line.name, line.quantity) for line in event.data.refunded] == [("Item 1", 1)]


def test_a_refund_that_failed_says_why_and_may_succeed_after_all(service: Any, order: str) -> None:
    made = refund(service, order, ONE).json()
    fail(service, order, made["id"])
    (failed,) = shown(service, order)["refunds"]
    assert (failed["status"], failed["failure"]) == ("FAILED", "gateway-refused")
    assert shown(service, order)["timeline"][-1]["note"] == "gateway-refused"
    assert pending_events(service.database, topics.ORDER_REFUNDED) == []
    complete(service, order, made["id"])
    (succeeded,) = shown(service, order)["refunds"]
    assert (succeeded["status"], "failure" in succeeded) == ("SUCCEEDED", False)
    assert len(pending_events(service.database, topics.ORDER_REFUNDED)) == 1


def test_what_the_bank_sends_back_has_failed_and_can_be_refunded_again(service: Any, order: str) -> None:
    made = refund(service, order, {"amount": TOTAL}).json()
    complete(service, order, made["id"], 1)
    for _ in range(2):
        fail(service, order, made["id"], 2)
    after = shown(service, order)
    assert (after["status"], after["refunded"]) == ("CONFIRMED", 0)
    assert [(one["status"], one["failure"]) for one in after["refunds"]] == [("FAILED", "gateway-refused")]
    assert [step.get("refundStatus") for step in after["timeline"][3:]] == ["PENDING", "SUCCEEDED", "FAILED"]
    assert refund(service, order, {"amount": TOTAL}).status_code == 202


@pytest.mark.parametrize("arrival", list(permutations([1, 2, 3])))
def test_the_last_outcome_counts_in_whatever_order_they_come(service: Any, order: str, arrival: Sequence[int]) -> None:
    """Made, sent back, and made once more: topics overtake one another."""
    made = refund(service, order, ONE).json()
    for number in arrival:
        (fail if number == 2 else complete)(service, order, made["id"], number)
    assert [one["status"] for one in shown(service, order)["refunds"]] == ["SUCCEEDED"]
    assert shown(service, order)["refunded"] == 100


def test_the_last_outcome_of_a_batch_counts_wherever_in_it_it_is(service: Any, order: str) -> None:
    """The first was read late: an operator let it be delivered again."""
    made = refund(service, order, ONE).json()
    fail(service, order, made["id"], 2)
    learn(service, completed(order, made["id"], 3), completed(order, made["id"], 1))
    assert [one["status"] for one in shown(service, order)["refunds"]] == ["SUCCEEDED"]


def test_a_cancelled_order_s_timeline_shows_that_its_money_came_back_and_went_again(service: Any) -> None:
    order = place(service)
    assert service.client.post(f"/order/{order}/cancel").status_code == 202
    refunded = PaymentRefunded(order_id=order, refund_id="re-1", amount=TOTAL, currency="USD")
    learn(service, topics.PAYMENT_REFUNDED.event(refunded, order))
    learn(service, topics.INVENTORY_RELEASED.event(InventoryReleased(order_id=order, released=[]), order))
    fail(service, order, order)
    complete(service, order, order)
    after = shown(service, order)
    assert after["status"] == "CANCELLED"
    assert [(one["status"], one["refundId"], one["refundStatus"]) for one in after["timeline"][-2:]] == [
        ("CANCELLED", order, "FAILED"),
        ("CANCELLED", order, "SUCCEEDED"),
    ]
    assert "refunds" not in after


def test_an_outcome_of_a_refund_that_there_is_not_changes_nothing(service: Any, order: str) -> None:
    other = confirm(service, place(service))
    made = refund(service, order, ONE).json()
    before = shown(service, order)
    for order_id, refund_id in [(order, str(uuid4())), (order, "none"), (other, made["id"])]:
        complete(service, order_id, refund_id)
    assert shown(service, order) == before


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["lines", "amount"]),
        ({**ONE, "amount": 1}, ["lines", "amount"]),
        ({"lines": []}, ["lines"]),
        ({"lines": [{"id": "Item1", "quantity": 0}]}, ["lines[0].quantity"]),
        ({"lines": [{"id": "Item1", "quantity": -1}]}, ["lines[0].quantity"]),
        ({"lines": [{"id": "Item1", "quantity": 3}]}, ["lines[0].quantity"]),
        ({"lines": [{"id": "Item9", "quantity": 1}]}, ["lines[0].id"]),
        ({"lines": [{"id": "Item2", "quantity": 1}, {"id": "Item2", "quantity": 1}]}, ["lines[1].id"]),
        ({"lines": [{"id": "Item5", "quantity": 1}, {"id": "Item2", "quantity": 4}]},
         ["lines[0].id", "lines[1].quantity"]),
        ({"lines": [{"id": "Item1"}]}, ["lines[0].quantity"]),
        ({"amount": 0}, ["amount"]),
        ({"amount": -5}, ["amount"]),
        ({"amount": 1.5}, ["amount"]),
        ({"amount": "5"}, ["amount"]),
        ({"amount": 5, "restock": True}, ["restock"]),
        ({**ONE, "restock": "yes"}, ["restock"]),
        ({**ONE, "reason": "x" * 201}, ["reason"]),
        ({**ONE, "because": "of it"}, ["because"]),
    ],
)  # fmt: skip
def test_a_body_that_asks_for_no_refund_is_refused_by_its_fields(
    service: Any, order: str, body: dict[str, Any], fields: list[str]
) -> None:
    refused = refund(service, order, body)
    assert (refused.status_code, [error["field"] for error in refused.json()["errors"]]) == (422, fields)
    assert requests(service) == []


def test_what_is_returned_already_is_not_returned_again_whatever_became_of_the_money(service: Any, order: str) -> None:
    first, second = refund(service, order, ONE).json(), refund(service, order, ONE).json()
    fail(service, order, first["id"])
    refused = refund(service, order, ONE)
    assert refused.status_code == 422
    assert refused.json()["errors"] == [
        {"field": "lines[0].quantity", "message": "must be at most 0, which is not refunded yet"}
    ]
    assert {event.data.refund_id for event in requests(service)} == {first["id"], second["id"]}


def test_no_more_is_refunded_than_remains_of_what_was_paid(service: Any, order: str) -> None:
    first = refund(service, order, {"amount": 700}).json()
    for body in ({"amount": 101}, {"lines": [{"id": "Item2", "quantity": 1}]}):
        refused = refund(service, order, body)
        assert (refused.status_code, refused.json()["type"]) == (409, "/problems/refund-too-large")
        assert refused.json()["detail"] == "What remains is 100"
    complete(service, order, first["id"])
    assert refund(service, order, {"amount": 101}).status_code == 409
    assert refund(service, order, {"amount": 100}).status_code == 202
    assert refund(service, order, {"amount": 1}).status_code == 409


def test_the_money_of_a_refund_that_failed_can_be_refunded(service: Any, order: str) -> None:
    failed = refund(service, order, {"amount": TOTAL}).json()
    fail(service, order, failed["id"])
    assert refund(service, order, {"amount": TOTAL}).status_code == 202
    assert refund(service, order, {"amount": 1}).status_code == 409


@pytest.mark.parametrize("status", ["PENDING", "CANCELLING"])
def test_only_a_confirmed_order_is_refunded(service: Any, status: str) -> None:
    order_id = place(service)
    if status == "CANCELLING":
        service.client.post(f"/order/{order_id}/cancel")
    refused = refund(service, order_id, {"lines": [{"id": "Item9", "quantity": 1}]})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/not-refundable")
    assert refused.json()["detail"] == f"The order is {status}"


@pytest.mark.parametrize("order_id", [UNKNOWN, "no-id"])
def test_an_order_that_there_is_not_cannot_be_refunded(service: Any, order_id: str) -> None:
    refused = refund(service, order_id, {"amount": 1})
    assert (refused.status_code, refused.json()["type"]) == (404, "/problems/order-not-found")


def test_refunds_at_once_from_everywhere_come_to_no_more_than_was_paid(service: Any, order: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(lambda _: refund(service, order, {"amount": 300}).status_code, range(8)))
    assert statuses == {202: 2, 409: 6}
    assert [event.data.amount for event in requests(service)] == [300, 300]


def test_a_refund_and_a_cancellation_at_once_rule_each_other_out(start: Callable[..., Any], order: str) -> None:
    service = start(cancel_seconds=600.0)
    for order_id in (order, *(confirm(service, place(service)) for _ in range(4))):
        with ThreadPoolExecutor(2) as pool:
            refunded = pool.submit(refund, service, order_id, {"amount": 1})
            cancelled = pool.submit(service.client.post, f"/order/{order_id}/cancel")
            statuses = {refunded.result().status_code, cancelled.result().status_code}
        assert statuses == {202, 409}
        assert ("refunds" in shown(service, order_id)) == (shown(service, order_id)["status"] == "CONFIRMED")


def test_a_key_gets_its_first_answer_again_and_refunds_nothing_more(service: Any, order: str) -> None:
    first = refund(service, order, ONE, "key")
    complete(service, order, first.json()["id"])
    again = refund(service, order, ONE, "key")
    assert (again.status_code, again.content) == (202, first.content)
    assert [one.headers.get("idempotent-replayed") for one in (first, again)] == [None, "true"]
    assert len(requests(service)) == 1


@pytest.mark.parametrize("more", [{"lines": None}, {"restock": False}, {"reason": None}, {"reason": ""}])
def test_a_field_that_says_nothing_is_as_none_under_a_key(service: Any, order: str, more: dict[str, Any]) -> None:
    """Some clients write each optional field down, and others do not: it may be one behind a queue that sends again."""
    first, again = (refund(service, order, body, "key") for body in ({"amount": 10}, {"amount": 10, **more}))
    assert (again.status_code, again.content) == (202, first.content)
    assert refund(service, order, {"amount": 10, "reason": "broken"}, "key").status_code == 422
    assert len(requests(service)) == 1


def test_one_key_at_once_from_everywhere_is_one_refund(service: Any, order: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: refund(service, order, {"amount": 10}, "key"), range(8)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, answers[0].content)}
    assert len(requests(service)) == 1


def test_a_key_that_was_used_for_something_else_is_refused(service: Any, order: str) -> None:
    other = confirm(service, place(service))
    assert refund(service, order, ONE, "key").status_code == 202
    for order_id, body in [(order, {"amount": 100}), (order, {**ONE, "restock": True}), (other, ONE)]:
        refused = refund(service, order_id, body, "key")
        assert (refused.status_code, refused.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert service.client.post(f"/order/{order}/cancel", headers={"Idempotency-Key": "key"}).status_code == 422
    assert refund(service, order, ONE, "two words").json()["type"] == "/problems/bad-idempotency-key"


def test_payment_is_asked_again_about_what_does_not_come_back(service: Any, order: str) -> None:
    late, done, fresh = (refund(service, order, {"amount": 1}).json()["id"] for _ in range(3))
    complete(service, order, done)
    service.database.execute("UPDATE refund SET requested_at = now() - interval '1 h' WHERE id <> %(id)s", id=fresh)
    refunding.asking_again(service.database, 300)()
    asked = Counter(event.data.refund_id for event in requests(service))
    assert asked == {late: 2, done: 1, fresh: 1}


def pass_time(service: Any, seconds: float) -> None:
    sql = "UPDATE refund SET settled_at = settled_at - make_interval(secs => %(seconds)s)"
    service.database.execute(sql, seconds=seconds)


def questions(service: Any, *, days: float | None = None) -> int:
    """Let the service look once for what it has to ask about refunds that have failed; how much it asked."""
    service.database.execute("DELETE FROM outbox")
    refunding.asking_again(service.database, 300, days)()
    return sum(event.data.failed is True for event in requests(service))


def test_payment_is_asked_ever_more_rarely_whether_what_has_failed_was_made_after_all(service: Any, order: str) -> None:
    """The event that said so may be lost. That of most there is no news is no reason to ask for ever."""
    made = refund(service, order, ONE).json()
    fail(service, order, made["id"], 1)
    assert questions(service) == 0
    asked = []
    for _ in range(24 * 12):  # a day
        pass_time(service, 300.5)
        asked.append(questions(service))
    assert [number for number, many in enumerate(asked, 1) if many] == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert set(asked) == {0, 1}
    complete(service, order, made["id"], 2)
    pass_time(service, 86400)
    assert questions(service) == 0


def test_a_refund_that_has_failed_once_more_is_asked_about_as_soon_as_the_first_time(service: Any, order: str) -> None:
    made = refund(service, order, ONE).json()
    fail(service, order, made["id"], 1)
    pass_time(service, 300.5)
    assert [questions(service), questions(service)] == [1, 0]
    fail(service, order, made["id"], 1)  # it is answered that there is no news
    pass_time(service, 200)
    assert questions(service) == 0
    fail(service, order, made["id"], 2)
    pass_time(service, 300.5)
    assert questions(service) == 1


def test_a_failed_refund_of_an_order_that_others_may_have_deleted_is_not_asked_about(service: Any, order: str) -> None:
    fail(service, order, refund(service, order, ONE).json()["id"])
    pass_time(service, 86400)
    service.database.execute("UPDATE orders SET placed_at = now() - interval '32 days'")
    assert (questions(service, days=31.0), questions(service)) == (0, 1)


def test_none_is_asked_again_about_twice_while_others_wait_for_it(
    service: Any, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway may take days for many, all of them older than one whose request was lost."""
    monkeypatch.setattr(refunding, "MOST", 2)
    late = [refund(service, order, {"amount": 1}).json()["id"] for _ in range(3)]
    service.database.execute("UPDATE refund SET requested_at = now() - interval '1 h'")
    service.database.execute("DELETE FROM outbox")
    for _ in range(3):
        service.task("refunds")
    assert [event.data.refund_id for event in requests(service)] == [*late, *late[:2]]


def test_one_that_no_event_can_hold_keeps_no_other_from_being_asked_about(service: Any, order: str) -> None:
    odd, late = (refund(service, order, ONE).json()["id"] for _ in range(2))
    service.database.execute("UPDATE refund SET requested_at = now() - interval '1 h'")
    service.database.execute(
        """UPDATE refund SET lines = '[{"id": "gone", "quantity": 1}]' WHERE id = %(id)s""", id=odd
    )
    with pytest.raises(KeyError):  # and the task has failed, which is counted
        refunding.asking_again(service.database, 300)()
    assert Counter(event.data.refund_id for event in requests(service)) == {odd: 1, late: 2}


def test_a_follower_sees_what_becomes_of_a_refund_and_then_the_end(service: Any, order: str) -> None:
    made = refund(service, order, ONE).json()
    headers = {"Last-Event-ID": "3"}
    with service.client.stream("GET", f"/order/{order}/events", headers=headers) as stream:
        lines = stream.iter_lines()
        assert next(line for line in lines if line.startswith("data:")).count("PENDING") == 1
        complete(service, order, made["id"])
        assert next(line for line in lines if line.startswith("data:")).count("SUCCEEDED") == 1
        assert not any(line.startswith("data:") for line in lines)
    over = service.client.get(f"/order/{order}/events", headers={"Last-Event-ID": "5"})
    assert over.status_code == 204


def test_a_late_follower_sees_all_of_it_in_one_go(service: Any, order: str) -> None:
    complete(service, order, refund(service, order, ONE).json()["id"])
    with service.client.stream("GET", f"/order/{order}/events") as stream:
        seen = [line for line in stream.iter_lines() if line.startswith("data:")]
    assert len(seen) == 5


def test_an_order_that_others_may_have_deleted_is_not_refunded_any_more(
    start: Callable[..., Any], service: Any, order: str
) -> None:
    keeping = start(order_days=31.0)
    assert refund(keeping, order, ONE).status_code == 202
    service.database.execute("UPDATE orders SET placed_at = now() - interval '32 days'")
    refused = refund(keeping, order, ONE)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/not-refundable")
    assert "31 days" in refused.json()["detail"]
    assert refund(service, order, ONE).status_code == 202  # where everything is kept for ever


def test_a_refund_of_an_order_that_others_may_have_deleted_is_not_asked_for_again(service: Any, order: str) -> None:
    refund(service, order, ONE)
    service.database.execute("DELETE FROM outbox")
    service.database.execute("UPDATE refund SET requested_at = now() - interval '30 days'")
    service.database.execute("UPDATE orders SET placed_at = now() - interval '32 days'")
    refunding.asking_again(service.database, 300, 31.0)()
    assert requests(service) == []
    refunding.asking_again(service.database, 300)()
    assert len(requests(service)) == 1


def test_a_cancelled_order_shows_that_its_money_did_not_go_back(service: Any) -> None:
    order = place(service)
    failure = RefundFailed(order_id=order, refund_id=order, amount=TOTAL, currency="USD", reason="gateway-failed")
    event = topics.REFUND_FAILED.event(failure, order)
    learn(service, event)
    detail = shown(service, order)
    assert [(one.get("refundStatus"), one.get("note")) for one in detail["timeline"]] == [
        (None, None),
        ("FAILED", "gateway-failed"),
    ]
    assert (detail["status"], "refunds" in detail) == ("PENDING", False)


@pytest.mark.parametrize("number", [1, 2])
def test_a_failure_of_a_cancelled_order_s_refund_that_is_received_late_is_no_news(service: Any, number: int) -> None:
    """It was redriven, or its topic was behind: the order would be kept for ever."""
    order = place(service)
    complete(service, order, order, 2)
    fail(service, order, order, number)
    assert [one.get("refundStatus") for one in shown(service, order)["timeline"]] == [None, "SUCCEEDED"]
    fail(service, order, order, 3)
    complete(service, order, order, 4)
    statuses = [one.get("refundStatus") for one in shown(service, order)["timeline"]]
    assert statuses == [None, "SUCCEEDED", "FAILED", "SUCCEEDED"]


def test_outcomes_of_a_cancelled_order_s_refund_that_an_earlier_release_did_not_number_are_shown_until_one_is(
    service: Any,
) -> None:
    """One that is redriven once there are numbers is older than they are: the order would seem to have failed."""
    order = place(service)
    fail(service, order, order)
    complete(service, order, order)
    fail(service, order, order)
    complete(service, order, order, 1)
    fail(service, order, order)
    statuses = [one.get("refundStatus") for one in shown(service, order)["timeline"]]
    assert statuses == [None, "FAILED", "SUCCEEDED", "FAILED", "SUCCEEDED"]


def test_of_a_batch_an_outcome_without_a_number_is_the_earlier_one(service: Any, order: str) -> None:
    made = refund(service, order, ONE).json()
    for id_ in (order, made["id"]):
        learn(service, completed(order, id_, 1), completed(order, id_))
        fail(service, order, id_)
    after = shown(service, order)
    assert [one.get("refundStatus") for one in after["timeline"][4:]] == ["SUCCEEDED", "SUCCEEDED"]
    assert [one["status"] for one in after["refunds"]] == ["SUCCEEDED"]


@pytest.mark.parametrize("late", [complete, fail])
def test_an_outcome_without_a_number_changes_nothing_after_one_that_has_a_number(
    service: Any, order: str, late: Callable[..., None]
) -> None:
    """As that of an earlier release, which was redriven after the bank had sent the money back."""
    made = refund(service, order, ONE).json()
    fail(service, order, made["id"], 2)
    late(service, order, made["id"])
    assert [one["status"] for one in shown(service, order)["refunds"]] == ["FAILED"]
    assert len(shown(service, order)["timeline"]) == 5
    complete(service, order, made["id"], 3)
    late(service, order, made["id"])
    assert [one["status"] for one in shown(service, order)["refunds"]] == ["SUCCEEDED"]


@pytest.fixture
def operator(service: Any) -> Iterator[TestClient]:
    with operated("order", service.database, Components(admin=[admin.router], states=orders.states)) as client:
        yield client


def held(operator: TestClient) -> dict[str, tuple[str, str | None]]:
    """What waits or has failed, over pages of one."""
    page = operator.get("/admin/refunds/held?limit=1")
    found = page.json()
    while "next" in page.links:
        page = operator.get(page.links["next"]["url"])
        found += page.json()
    return {one["id"]: (one["status"], one["failure"]) for one in found}


def test_refunds_that_wait_for_too_long_are_counted_and_those_that_failed_are_listed_too(
    service: Any, order: str, operator: TestClient
) -> None:
    late, failed, done, fresh = (refund(service, order, {"amount": 1}).json()["id"] for _ in range(4))
    complete(service, order, done)
    fail(service, order, failed)
    service.database.execute("UPDATE refund SET requested_at = now() - interval '1 h' WHERE id <> %(id)s", id=fresh)
    metrics = OrderMetrics(registry := CollectorRegistry())
    refunding.measure_backlog(service.database, metrics, 300)
    assert registry.get_sample_value("oms_refunds_stuck") == 1
    assert held(operator) == {late: ("PENDING", None), failed: ("FAILED", "gateway-refused")}


def test_a_refund_that_failed_is_held_until_less_is_left_than_it_was_of(
    service: Any, order: str, operator: TestClient
) -> None:
    failed = refund(service, order, {"amount": TOTAL}).json()["id"]
    fail(service, order, failed)
    assert set(held(operator)) == {failed}
    complete(service, order, refund(service, order, {"amount": 1}).json()["id"])
    assert held(operator) == {}


def test_what_becomes_of_refunds_is_counted_once(service: Any, order: str) -> None:
    metrics = OrderMetrics(registry := CollectorRegistry())
    handle = {one.topic.name: one.handle for one in handlers.subscriptions(metrics)}
    made = refund(service, order, {"amount": 1}).json()["id"]
    data = RefundFailed(order_id=order, refund_id=made, amount=1, currency="USD", reason="gateway-refused")
    for _ in range(2):
        deliver(service.database, handle[topics.REFUND_FAILED.name], [topics.REFUND_FAILED.event(data, order)])
    counted = {one: registry.get_sample_value("oms_refunds_total", {"status": one}) for one in RefundStatus}
    assert counted == {"PENDING": 0, "SUCCEEDED": 0, "FAILED": 1}


def test_of_a_cancellation_and_a_refund_of_a_confirmed_order_at_once_one_is_made(start: Callable[..., Any]) -> None:
    service = start(cancel_seconds=60)
    outcomes: Counter[tuple[int, int]] = Counter()
    for _ in range(8):
        order = confirm(service, place(service))
        with ThreadPoolExecutor(2) as pool:
            acts = [
                pool.submit(refund, service, order, {"amount": TOTAL}),
                pool.submit(service.client.post, f"/order/{order}/cancel"),
            ]
            refunded, cancelled = (act.result().status_code for act in acts)
        assert shown(service, order)["status"] == ("CANCELLING" if cancelled == 202 else "CONFIRMED")
        outcomes[refunded, cancelled] += 1
    assert set(outcomes) <= {(202, 409), (409, 202)}


def test_an_amount_and_a_quantity_may_be_written_with_a_fraction_of_zero(service: Any, order: str) -> None:
    url = f"/order/{order}/refund"
    amount = service.client.post(url, json={"amount": 100.0})
    lines = service.client.post(url, json={"lines": [{"id": "Item2", "quantity": 1.0}]})
    assert [(one.status_code, one.json()["amount"]) for one in (amount, lines)] == [(202, 100), (202, 200)]
    assert service.client.post(url, json={"amount": 100.5}).status_code == 422
