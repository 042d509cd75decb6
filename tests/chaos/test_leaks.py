"""A card number that was written anywhere is found, and not repeated."""

from chaos import leaks

NUMBER = "4242424242424242"


def test_a_number_is_found_and_not_repeated() -> None:
    places = [("logs/order.log", b'{"card": "4242424242424242"}'), ("base/1", b"\0 4242 \0 4111111111111111")]
    assert list(leaks.found(places, [NUMBER])) == ["a card's number is in logs/order.log"]


def test_the_card_of_the_sample_order_is_not_looked_for() -> None:
    assert NUMBER in leaks.NUMBERS
    assert list(leaks.found([("times", b"2026-11-27T18:43:12.341234Z")], leaks.NUMBERS)) == []
