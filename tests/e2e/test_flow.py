"""The outcome of orders, and the messages to their customers."""

import httpx2
from invariants import Sources, check_when_quiet
from support.orders import DECLINED, NO_FUNDS, body, ended, messages, place

SCARCE = ("Item5", 10_000)  # exceeds the stock


def statuses(order: dict[str, list[dict[str, str]]]) -> list[str]:
    return [step["status"] for step in order["timeline"]]


def test_an_order_is_paid_gets_its_stock_and_is_confirmed(orders: httpx2.Client) -> None:
    order = ended(orders, place(orders, body(("Item1", 2), ("Item2", 1))))
    assert statuses(order) == ["PENDING", "PAID", "CONFIRMED"]
    assert order["total"] == sum(line["quantity"] * line["unitPrice"] for line in order["lines"])
    assert order["payment"] == {"brand": "visa", "last4": "4242", "expiryDate": "02/40"}
    assert "reason" not in order


def test_a_declined_card_cancels_the_order(orders: httpx2.Client) -> None:
    order = ended(orders, place(orders, body(card=DECLINED)))
    assert statuses(order) == ["PENDING", "CANCELLING", "CANCELLED"]
    assert order["reason"] == "payment-declined"


def test_insufficient_funds_cancel_the_order(orders: httpx2.Client) -> None:
    assert ended(orders, place(orders, body(card=NO_FUNDS)))["reason"] == "payment-declined"


def test_an_order_beyond_the_stock_is_refunded_and_cancelled(orders: httpx2.Client) -> None:
    order = ended(orders, place(orders, body(SCARCE)))
    assert statuses(order) == ["PENDING", "PAID", "CANCELLING", "CANCELLED"]
    assert order["reason"] == "out-of-stock"


def test_one_missing_item_cancels_the_whole_order(orders: httpx2.Client) -> None:
    order = ended(orders, place(orders, body(("Item1", 1), SCARCE)))
    assert (order["status"], order["reason"]) == ("CANCELLED", "out-of-stock")


def test_a_timeline_is_in_order_and_ends_with_the_status(orders: httpx2.Client) -> None:
    order = ended(orders, place(orders, body()))
    times = [step["at"] for step in order["timeline"]]
    assert [step["position"] for step in order["timeline"]] == [1, 2, 3]
    assert times == sorted(times)
    assert order["timeline"][-1]["status"] == order["status"]


def test_the_customer_of_a_confirmed_order_gets_one_email_and_one_sms(orders: httpx2.Client, mailcatcher: str) -> None:
    sent = body(("Item1", 2), name="Ama Perera")
    order = ended(orders, place(orders, sent))
    found = messages(mailcatcher, order["id"])
    email, sms = found["email"], found["sms"]
    assert (email["to"], email["subject"]) == (sent["customer"]["email"], "Your order is confirmed")
    assert "Hello Ama Perera," in email["text"]
    assert f"2 x {order['lines'][0]['name']}: USD {order['total'] / 100:,.2f}" in email["text"]
    assert sms["to"] == "+94762222222"
    assert sms["text"] == f"Your order {order['id']} is confirmed. Total: USD {order['total'] / 100:,.2f}. Thank you!"


def test_the_customer_of_a_declined_card_is_notified(orders: httpx2.Client, mailcatcher: str) -> None:
    order = ended(orders, place(orders, body(card=DECLINED)))
    found = messages(mailcatcher, order["id"])
    assert found["email"]["subject"] == "Your order could not be paid"
    assert "You were not charged." in found["email"]["text"]
    assert "the payment did not go through" in found["sms"]["text"]


def test_the_customer_of_an_order_beyond_the_stock_is_notified(orders: httpx2.Client, mailcatcher: str) -> None:
    order = ended(orders, place(orders, body(SCARCE)))
    found = messages(mailcatcher, order["id"])
    assert found["email"]["subject"] == "Your order is out of stock"
    assert "you asked for 10000" in found["email"]["text"]
    assert "not enough stock" in found["sms"]["text"]


def test_a_lost_answer_of_the_gateway_charges_once(orders: httpx2.Client) -> None:
    assert ended(orders, place(orders, body(card="9999000000000003")))["status"] == "CONFIRMED"


def test_a_call_that_the_gateway_did_not_accept_is_made_again(orders: httpx2.Client) -> None:
    assert ended(orders, place(orders, body(card="9999000000000002")))["status"] == "CONFIRMED"


def test_the_invariants_hold(orders: httpx2.Client, sources: Sources) -> None:
    for card in (DECLINED, "9999000000000003", "4242424242424242"):
        place(orders, body(("Item1", 1), card=card))
    assert check_when_quiet(sources) == []
