"""What the customer reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.notices import cancelled, confirmed, declined, order, out_of_stock, refunded

from oms_contracts.events import GATEWAY_REFUSED, GATEWAY_UNAVAILABLE, InventoryUpdated
from oms_contracts.lines import JOINER, NON_JOINER
from oms_contracts.parts import Customer, Line
from oms_notifications.messages import Kind, email_subject, email_text, sms_text
from oms_notifications.money import amount

ORDER_ID = "019ab3f2-7c1e-7d3a-9a55-0123456789ab"
ENDINGS = [
    (Kind.CONFIRMED, confirmed(ORDER_ID)),
    (Kind.DECLINED, declined(ORDER_ID)),
    (Kind.DECLINED, declined(ORDER_ID, GATEWAY_REFUSED)),
    (Kind.OUT_OF_STOCK, out_of_stock(ORDER_ID)),
    (Kind.CANCELLED, cancelled(ORDER_ID)),
    (Kind.CANCELLED, cancelled(ORDER_ID, "timed-out")),
    (Kind.REFUNDED, refunded(ORDER_ID, "r1")),
    (Kind.REFUNDED, refunded(ORDER_ID, "r1", 1250, "Item1")),
]


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [
        (0, "USD", "USD 0.00"),
        (5, "EUR", "EUR 0.05"),
        (123_456_789, "LKR", "LKR 1,234,567.89"),
        (1500, "JPY", "JPY 1,500"),
        (1500, "KWD", "KWD 1.500"),
        (10_001, "CLF", "CLF 1.0001"),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(minor: int, currency: str, shown: str) -> None:
    assert amount(minor, currency) == shown


def test_a_confirmed_order_is_listed_with_its_prices() -> None:
    text = email_text(Kind.CONFIRMED, confirmed(ORDER_ID).data)
    assert text.startswith("Hello Ann Perera,\n")
    assert "  2 x Blue mug: USD 25.00\n  1 x Teapot: USD 1,000.00\n" in text
    assert "Total: USD 1,025.00" in text
    assert ORDER_ID in text


@pytest.mark.parametrize(
    "name",
    [
        *("Ann Perera", "Dr. Ann P. O'Neill-Perera", "李小龍", "J. R. R. Tolkien", "Ann 3rd", "Zoë 😀", "x" * 40),
        *("\u0dc1\u0dca\u200d\u0dbb\u0dd3\u0db8\u0dad\u0dd3", "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"),
    ],
)
def test_a_customer_is_greeted_by_name(name: str) -> None:
    assert greeting(name) == f"Hello {name},"


@pytest.mark.parametrize(
    "name",
    [
        "Your parcel is held, pay at http://evil.example",
        "see evil.example",
        "evil.example/pay",
        "ann@evil.example",
        "tel:900123",
        "Call 0900 123 456 for your parcel",
        "Call 0900-123",
        "Call ٠٩٠٠١٢٣",
        "see evil\uff0eexample",
        "see evil\u3002example",
        "see evil\uff61example",
        "evil\u2024example",
        "ann\uff20evil",
        "evil\u2215pay",
        "evil\u2044pay",
        "ftp\uff1aevil",
        "x" * 41,
        "\u200b",
    ],
)
def test_a_name_that_could_be_a_message_of_its_own_is_not_repeated(name: str) -> None:
    assert greeting(name) == "Hello,"


def greeting(name: str) -> str:
    customer = Customer(name=name, email="a@example.com", phone_number="1")
    return email_text(Kind.CONFIRMED, confirmed(ORDER_ID, customer=customer).data).splitlines()[0]


def test_a_refund_says_how_much_goes_back_and_what_for() -> None:
    text = email_text(Kind.REFUNDED, refunded(ORDER_ID, "r1", 1250, "Item1").data)
    assert "we have refunded USD 12.50 of your order to your card.\n\n  1 x Blue mug\n" in text
    assert "Blue mug" not in email_text(Kind.REFUNDED, refunded(ORDER_ID, "r1", 99).data)
    short = sms_text(Kind.REFUNDED, refunded(ORDER_ID, "r1", 99).data)
    assert short == f"We have refunded USD 0.99 of your order {ORDER_ID} to your card."


def test_a_declined_order_is_said_to_be_cancelled_and_not_charged() -> None:
    text = email_text(Kind.DECLINED, declined(ORDER_ID).data)
    assert "cancelled your order" in text
    assert "You were not charged." in text
    assert "another card" in text
    assert "card-declined" not in text


@pytest.mark.parametrize("reason", [GATEWAY_UNAVAILABLE, GATEWAY_REFUSED])
def test_a_payment_that_failed_on_our_side_is_not_blamed_on_the_card(reason: str) -> None:
    event = declined(ORDER_ID, reason).data
    text = email_text(Kind.DECLINED, event)
    assert "cancelled your order" in text
    assert "You were not charged." in text
    assert "a fault on our side" in text
    assert "another card" not in text
    assert reason not in text
    assert sms_text(Kind.DECLINED, event) != sms_text(Kind.DECLINED, declined(ORDER_ID).data)


def test_an_order_without_stock_names_what_is_missing_and_the_refund() -> None:
    text = email_text(Kind.OUT_OF_STOCK, out_of_stock(ORDER_ID).data)
    assert "  Teapot: you asked for 1, we have 0\n" in text
    assert "refunding USD 1,025.00" in text


def test_each_ending_has_its_own_subject() -> None:
    assert len({email_subject(kind) for kind in Kind}) == len(Kind)


@pytest.mark.parametrize(("kind", "event"), ENDINGS)
def test_a_text_names_the_order_and_is_one_part_long(kind: Kind, event) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    text = sms_text(kind, event.data)
    assert ORDER_ID in text
    assert text.isascii()
    assert len(text) <= 160


@given(name=st.text(min_size=1, max_size=200), item=st.text(min_size=1, max_size=200))
def test_a_name_cannot_add_lines_or_hide_characters(name: str, item: str) -> None:
    customer = Customer(name=name, email="a@example.com", phone_number="1")
    lines = [Line(item_id="Item1", name=item, quantity=1, unit_price=1)]
    plain = email_text(Kind.CONFIRMED, InventoryUpdated(**order(ORDER_ID, lines=lines)))
    text = email_text(Kind.CONFIRMED, InventoryUpdated(**order(ORDER_ID, customer=customer, lines=lines)))
    assert len(text.splitlines()) == len(plain.splitlines())
    assert all(character.isprintable() or character in {"\n", NON_JOINER, JOINER} for character in text)


@pytest.mark.parametrize(
    ("reason", "words"), [("customer", "as you asked"), ("timed-out", "too long"), ("of-a-later-release", "cancelled")]
)
def test_a_cancelled_order_says_who_cancelled_it_and_where_the_money_goes(reason: str, words: str) -> None:
    order = cancelled(ORDER_ID, reason).data
    for text in (email_text(Kind.CANCELLED, order), sms_text(Kind.CANCELLED, order)):
        assert words in text
        assert "card" in text
        assert ORDER_ID in text
