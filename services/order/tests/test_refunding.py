"""Requesting refunds: what is refused, and what is published for the others."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.refunds import ONE, TOTAL, complete, confirm, fail, place, refund, requests, shown

UNKNOWN = "0198c0de-0000-7000-8000-000000000000"


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
