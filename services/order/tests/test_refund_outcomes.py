"""What becomes of refunds, in whatever order its events come."""

from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest
from support.chassis import pending_events
from support.refunds import ONE, TOTAL, complete, completed, confirm, fail, learn, place, refund, shown

from oms_contracts import topics
from oms_contracts.events import (
    InventoryReleased,
    PaymentRefunded,
    RefundFailed,
)


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
