"""Every card behaviour of the simulator occurs among the orders, but not where it would keep an order from ending."""

import random
from collections import defaultdict

from chaos import cards
from chaos.clients import order_of
from oms_simulators.payment.testcards import TEST_CARDS, Outcome

MANY = 20_000


def outcomes() -> dict[int, set[Outcome]]:
    """Return what the cards of clients do, by the clients' behaviour."""
    found: defaultdict[int, set[Outcome]] = defaultdict(set)
    for number in range(MANY):
        card = order_of(1, number)["paymentDetails"]["cardNumber"]
        found[number % 10].add(TEST_CARDS[card].outcome)
    return found


def test_all_card_behaviours_occur_but_failing_refunds_only_in_orders_that_nobody_cancels() -> None:
    found = outcomes()
    assert set.union(*found.values()) == set(Outcome)
    assert {behaviour for behaviour, seen in found.items() if seen & set(cards.NOT_REFUNDED)} == {5}


def test_a_client_has_the_same_card_in_each_run_of_a_seed() -> None:
    numbers = [order_of(7, number)["paymentDetails"]["cardNumber"] for number in range(500)]
    random.seed()
    assert numbers == [order_of(7, number)["paymentDetails"]["cardNumber"] for number in range(500)]
    assert numbers != [order_of(8, number)["paymentDetails"]["cardNumber"] for number in range(500)]
