"""Texts that are kept for good contain no address or number of a customer; all else that operators write is kept."""

import pytest

from oms_chassis.admin import contacts

NUMBERS = [
    "+94762222222",
    "+94 76 222 2222",
    "+49 (0) 30 901820",
    "0094 76 222 2222",
    "0761/234567",
    "(202) 555-0143",
    "202.555.0143",
    "762222222",
    "076-2222222",
    "\uff0b94\u00a076\u00a0222\u20112222",
    "\u0660\u0667\u0666\u0662\u0662\u0662\u0662\u0662\u0662\u0662",
]
OTHERS = [
    "broken by a release",
    "ticket 48151",
    "INC0012345678",
    "SHOP-1234567",
    "#1234567",
    "order 0192d3a4-0000-7000-8000-000000000000 of 2026-11-26 10:20:30",
    "since 26.11.2026, or 26/11/2026, or 2026-11-26T10:20",
    "charged 2500 instead of 1250",
    "release 1.27.3",
    "orders 1001, 1002, 1003",
    "ch_3MtwBwLkdIwHu7ix28a3tqPa",
]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("around", ["{}", "asked by {}, twice", "tel:{}", "({})"])
def test_a_phone_number_is_found(number: str, around: str) -> None:
    assert contacts.found_in(around.format(number))


def test_an_address_is_found() -> None:
    assert contacts.found_in("asked by ann@example.com")


@pytest.mark.parametrize("text", OTHERS)
def test_other_texts_of_operators_are_kept(text: str) -> None:
    assert not contacts.found_in(text)
    assert contacts.without(text) == text


@pytest.mark.parametrize("reference", ["20261126001", "wire 7781 of 2026-11-26", "00 4711 0815 22"])
def test_a_reference_may_be_a_long_number(reference: str) -> None:
    assert not contacts.is_certain(reference)
    assert contacts.is_certain(f"{reference}, +94 76 222 2222")


def test_the_subject_of_a_foreign_message_is_kept_if_it_is_an_id() -> None:
    state = {"topic": "t", "subject": "ann@example.com", "orders": ["0762222222", "order-7", "4242 4242 4242 4242"]}
    assert contacts.without(state) == {"topic": "t", "subject": "***", "orders": ["***", "order-7", "***"]}
    assert contacts.without({"failedCalls": 3, "to": None}) == {"failedCalls": 3, "to": None}
