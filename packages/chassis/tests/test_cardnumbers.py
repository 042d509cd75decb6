"""Card numbers are distinguished from other numbers that people and programs write."""

import uuid
from random import Random

import pytest

from oms_chassis.http.cardnumbers import found_in

# The networks' own test numbers.
CARDS = [
    "4242424242424242",
    "4222222222222",
    "4000000000000000006",
    "5555555555554444",
    "2223003122003222",
    "378282246310005",
    "30569309025904",
    "3056930009020004",
    "3566002020360505",
    "6011111111111117",
    "6200000000000005",
    "6304000000000000",
]
NO_CARDS = [
    "4242424242424241",  # its check digit does not fit
    "1234",
    "+4915112345678",
    "4915112345679",
    "0049 1511 234 5678",
    "8613912345678",
    "+94 76 222 2222",
    "1764142473125",  # a time in milliseconds
    "2026-01-15 10:20:30",
    "order4242424242424242",
    "de89370400440532013000",
    "4242-424242424242",  # a part of a UUID
    "5901234123457",  # an article's number
]


@pytest.mark.parametrize("number", CARDS)
@pytest.mark.parametrize("around", ["{}", "my card is {}", "({})", "card:{}, thanks", "{}."])
def test_a_card_number_is_found(number: str, around: str) -> None:
    assert found_in(around.format(number))


@pytest.mark.parametrize(
    "text",
    [
        "4242 4242 4242 4242",
        "4242-4242-4242-4242",
        "on 15 4242 4242 4242 4242 123",
        "3782 822463 10005",
        "4242\u00a04242\u00a04242\u00a04242",
        "4242\u20114242\u20114242\u20114242",
        "\uff14\uff12\uff14\uff12" * 4,
        "\u202a4242424242424242\u202c",
        "4000 0000 0000 0000 006",
        "4242.4242.4242.4242",
        "4242/4242/4242/4242",
        "4242_4242_4242_4242",
        "4242\u00b74242\u00b74242\u00b74242",
        "4242  4242  4242  4242",
        "4242 - 4242 - 4242 - 4242",
        "3782.822463.10005",
    ],
)
def test_a_card_number_is_found_however_it_is_written(text: str) -> None:
    assert found_in(text)


@pytest.mark.parametrize("text", NO_CARDS)
def test_other_numbers_are_not_card_numbers(text: str) -> None:
    assert not found_in(text)


def test_a_uuid_is_never_a_card_number() -> None:
    random = Random(7)
    digits = [uuid.UUID("".join(random.choice("0123456789") for _ in range(32))) for _ in range(20_000)]
    assert not any(found_in(str(one)) for one in digits)
