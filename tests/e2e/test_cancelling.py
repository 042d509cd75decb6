"""An order is cancelled at any moment of its life: either it is too late, or nothing of the order is left."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from invariants import Sources, check_when_quiet
from support.chassis import eventually
from support.orders import APPROVED, DECLINED, END_TIMEOUT, Body, body, ended, place, read

MOMENTS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 3.0)  # seconds after the order was accepted
SLOW = "9999000000000001"  # its charge takes two seconds


def cancel(orders: httpx2.Client, order_id: str, **body: str) -> httpx2.Response:
    return orders.post(f"/order/{order_id}/cancel", json=body)


def sent(mailcatcher: str, order_id: str, kind: str) -> list[str]:
    """Return the texts of this kind that were sent to the customer, oldest first."""
    params = {"orderId": order_id, "kind": kind}
    found = sorted(httpx2.get(f"{mailcatcher}/messages", params=params).json(), key=lambda one: one["receivedAt"])
    return [one["text"] for one in found]


def place_and_cancel(orders: httpx2.Client, card: str, moment: float) -> tuple[str, httpx2.Response]:
    order_id = place(orders, body(card=card))
    time.sleep(moment)
    return order_id, cancel(orders, order_id)


@pytest.mark.parametrize("card", [APPROVED, SLOW, DECLINED], ids=["approved", "slow", "declined"])
def test_whenever_an_order_is_cancelled_it_is_too_late_or_nothing_of_it_is_left(
    orders: httpx2.Client, mailcatcher: str, sources: Sources, card: str
) -> None:
    with ThreadPoolExecutor(len(MOMENTS)) as pool:
        tried = list(pool.map(lambda moment: place_and_cancel(orders, card, moment), MOMENTS))
    for order_id, answer in tried:
        order = ended(orders, order_id)
        if answer.status_code == 202:
            assert (order["status"], order["reason"]) == ("CANCELLED", "customer")
        else:
            assert (answer.status_code, answer.json()["type"]) == (409, "/problems/too-late-to-cancel")
            assert order.get("reason") == ("payment-declined" if card == DECLINED else None)
    assert check_when_quiet(sources) == []
    for order_id, answer in tried:
        if answer.status_code == 202 and card != DECLINED:
            for kind in ("email", "sms"):
                assert "as you asked" in sent(mailcatcher, order_id, kind)[-1]
    if card == SLOW:
        assert {answer.status_code for _, answer in tried[:-1]} == {202}, "there were two seconds to cancel in"


PIECE = {"lines": [{"id": "Item1", "quantity": 1}], "restock": True}
SHORT = (("Item1", 1), ("Item5", 10_000))  # the second exceeds the stock: the order is charged, and refunded


def cancel_and_refund(orders: httpx2.Client, order: Body, moment: float | None) -> tuple[str, list[httpx2.Response]]:
    """Place an order; after a moment, or without one when it has ended, cancel it and refund a piece of it. Both are
    requested at once, and each twice with its key."""
    order_id = place(orders, order)
    if moment is None:
        ended(orders, order_id)
    else:
        time.sleep(moment)

    def twice(act: str, asked: dict[str, Any]) -> httpx2.Response:
        key = {"Idempotency-Key": uuid4().hex}
        first, again = (orders.post(f"/order/{order_id}/{act}", json=asked, headers=key) for _ in range(2))
        assert first.status_code != 202 or again.content == first.content
        return again  # what was too early a moment ago may be possible now

    with ThreadPoolExecutor(2) as pool:
        acts = [pool.submit(twice, "refund", PIECE), pool.submit(twice, "cancel", {})]
        return order_id, [act.result() for act in acts]


def at_rest(orders: httpx2.Client, order_id: str) -> dict[str, Any]:
    """Return the order once it is terminal and none of its refunds is under way."""

    def shown() -> dict[str, Any] | None:
        order = ended(orders, order_id)
        return order if all(one["status"] != "PENDING" for one in order.get("refunds", ())) else None

    return eventually(shown, END_TIMEOUT) or {}


def test_an_order_that_is_cancelled_and_refunded_at_once_is_consistent_in_the_end(
    orders: httpx2.Client, sources: Sources
) -> None:
    tries = [
        (order, moment)
        for moment in (*MOMENTS, None)
        for order in (body(), body(card=SLOW), body(*SHORT), body(card=DECLINED))
    ]
    with ThreadPoolExecutor(len(tries)) as pool:
        tried = list(pool.map(lambda one: cancel_and_refund(orders, *one), tries))
    counts = {"cancelled": 0, "refunded": 0}
    for order_id, (refund, cancel) in tried:
        order = at_rest(orders, order_id)
        refunds = order.get("refunds", [])
        is_refunded, is_cancelled = refund.status_code == 202, cancel.status_code == 202
        assert not (is_refunded and is_cancelled), order_id
        assert {refund.status_code, cancel.status_code} <= {202, 409}
        assert is_cancelled == (order.get("reason") == "customer")
        assert is_refunded == bool(refunds)
        assert not is_refunded or (order["status"], refunds[0]["status"]) == ("CONFIRMED", "SUCCEEDED")
        counts["cancelled"] += is_cancelled
        counts["refunded"] += is_refunded
    assert all(counts.values()), counts
    assert check_when_quiet(sources) == []


def test_a_cancelled_order_shows_how_it_was_cancelled(orders: httpx2.Client) -> None:
    order_id = place(orders, body(card=SLOW))
    answer = cancel(orders, order_id, reason="Found it cheaper")
    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["reason"]) == ("CANCELLING", "customer")
    steps = [(step["status"], step.get("note")) for step in ended(orders, order_id)["timeline"]]
    assert steps == [("PENDING", None), ("CANCELLING", "Found it cheaper"), ("CANCELLED", None)]
    assert cancel(orders, order_id, reason="Found it cheaper").json()["status"] == "CANCELLED"


def test_a_confirmed_order_is_not_cancelled(orders: httpx2.Client) -> None:
    order_id = place(orders, body())
    assert ended(orders, order_id)["status"] == "CONFIRMED"
    assert cancel(orders, order_id).status_code == 409
    assert read(orders, order_id)["status"] == "CONFIRMED"


def test_the_stock_of_cancelled_orders_is_available_to_others(orders: httpx2.Client, inventory: httpx2.Client) -> None:
    def on_hand() -> int:
        return int(inventory.get("/items/Item4").json()["onHand"])

    before, answers = on_hand(), {}
    for _ in range(10):
        order_id = place(orders, body(("Item4", 3)))
        answers[order_id] = cancel(orders, order_id).status_code
    bought = sum(ended(orders, order_id)["status"] == "CONFIRMED" for order_id in answers)
    assert bought == sum(status == 409 for status in answers.values())
    assert eventually(lambda: on_hand() == before - 3 * bought)
