"""Refunding a confirmed order: money, stock and messages are right, and the books add up."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx2
from invariants import Sources, check_when_quiet
from support.chassis import eventually
from support.orders import END_TIMEOUT, body, ended, place, read

from oms_simulators.payment.ledger import net_by_order

ITEM = "Item3"


def refund(orders: httpx2.Client, order_id: str, asked: dict[str, Any], key: str | None = None) -> httpx2.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return orders.post(f"/order/{order_id}/refund", json=asked, headers=headers)


def settled(orders: httpx2.Client, order_id: str) -> dict[str, Any]:
    """Return the order once none of its refunds is under way."""

    def shown() -> dict[str, Any] | None:
        order = read(orders, order_id)
        return order if all(one["status"] != "PENDING" for one in order["refunds"]) else None

    return eventually(shown, END_TIMEOUT) or {}


def texts(mailcatcher: str, order_id: str, kind: str) -> list[str]:
    found: list[dict[str, str]] = httpx2.get(
        f"{mailcatcher}/messages", params={"orderId": order_id, "kind": kind}
    ).json()
    return [one["text"] for one in found]


def _both(mailcatcher: str, order_id: str, kind: str) -> list[str]:
    """Wait for two messages of this kind to the customer, and return them."""
    found = texts(mailcatcher, order_id, kind)
    return found if len(found) == 2 else []


def test_one_of_two_pieces_is_refunded(
    orders: httpx2.Client, inventory: httpx2.Client, mailcatcher: str, sources: Sources
) -> None:
    order_id = place(orders, body((ITEM, 2)))
    confirmed = ended(orders, order_id)
    price = confirmed["lines"][0]["unitPrice"]
    before = inventory.get(f"/items/{ITEM}").json()["onHand"]
    asked = {"lines": [{"id": ITEM, "quantity": 1}], "restock": True, "reason": "One was broken"}
    answer = refund(orders, order_id, asked, f"refund-{order_id}")
    assert (answer.status_code, answer.json()["status"], answer.json()["amount"]) == (202, "PENDING", price)
    assert refund(orders, order_id, asked, f"refund-{order_id}").content == answer.content

    after = settled(orders, order_id)
    assert (after["status"], after["refunded"]) == ("CONFIRMED", price)
    assert [(one["id"], one["status"]) for one in after["refunds"]] == [(answer.json()["id"], "SUCCEEDED")]
    steps = [(step.get("refundStatus"), step.get("note")) for step in after["timeline"]]
    assert steps[-2:] == [("PENDING", "One was broken"), ("SUCCEEDED", None)]

    assert net_by_order(sources.ledger or sources.databases["payment"])[order_id] == confirmed["total"] - price
    assert eventually(lambda: inventory.get(f"/items/{ITEM}").json()["onHand"] == before + 1, END_TIMEOUT)
    (returned,) = [
        one for one in inventory.get(f"/items/{ITEM}/movements").json()
        if one["kind"] == "returned" and one["orderId"] == order_id
    ]  # fmt: skip
    assert (returned["quantity"], returned["why"]) == (1, f"refund {answer.json()['id']}")
    assert inventory.get("/stock/differences").json() == []
    for kind in ("email", "sms"):
        sent = eventually(partial(_both, mailcatcher, order_id, kind), END_TIMEOUT) or []
        assert sum("have refunded" in text for text in sent) == 1
    assert check_when_quiet(sources) == []


def test_concurrent_refunds_return_what_was_paid_and_no_more(orders: httpx2.Client, sources: Sources) -> None:
    order_id = place(orders, body((ITEM, 2)))
    total = ended(orders, order_id)["total"]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: refund(orders, order_id, {"amount": total // 2}), range(6)))
    assert sorted(answer.status_code for answer in answers) == [202, 202, 409, 409, 409, 409]
    assert orders.post(f"/order/{order_id}/cancel").status_code == 409
    assert settled(orders, order_id)["refunded"] == total // 2 * 2
    assert check_when_quiet(sources) == []
