"""The cards that customers have: all that the simulator knows, with what a charge or a refund of each does."""

import random
from collections.abc import Mapping

from oms_simulators.payment.testcards import TEST_CARDS, Outcome

OTHERWISE = 0.15  # of the orders that nobody refunds: their cards are not the usual one
# How often each comes among those. One that finds the gateway busy has all others wait for three seconds, and some that
# it does not take at all have them wait, too: with many of these, each recovery would be the gateway's.
CHARGED: Mapping[Outcome, int] = {
    **dict.fromkeys((outcome for outcome in Outcome if outcome.declined), 40),
    Outcome.SLOW: 40,
    Outcome.FLAKY: 40,
    Outcome.LOST_ANSWER: 40,
    Outcome.BUSY: 1,
    Outcome.UNAVAILABLE: 1,
}
# Of orders that are refunded once they are confirmed. Only these: an order that is cancelled waits for as long as its
# refund, and where the money cannot go back, for an operator.
REFUNDED: Mapping[Outcome, int] = {
    Outcome.APPROVED: 6,
    Outcome.REFUND_PENDING: 2,
    Outcome.REFUND_FAILS: 1,
    Outcome.REFUND_FAILS_LATER: 1,
    Outcome.DISPUTED: 1,
}
# However often that is asked for.
NOT_REFUNDED = (Outcome.REFUND_FAILS, Outcome.REFUND_FAILS_LATER, Outcome.DISPUTED)
# A charge that the gateway never takes is given up soon enough for the end of a run.
ENVIRONMENT = {"OMS_CHARGE_PATIENCE_SECONDS": "10", "OMS_DISPUTES_SECONDS": "5"}
NOT_CHARGED = {Outcome.UNAVAILABLE, *(outcome for outcome in Outcome if outcome.declined)}
_NUMBERS = {card.outcome: number for number, card in TEST_CARDS.items()}


def number(rng: random.Random, *, is_refunded: bool) -> str:
    """The number of a customer's card."""
    if not is_refunded and rng.random() > OTHERWISE:
        return _NUMBERS[Outcome.APPROVED]
    weights = REFUNDED if is_refunded else CHARGED
    (outcome,) = rng.choices(list(weights), list(weights.values()))
    return _NUMBERS[outcome]
