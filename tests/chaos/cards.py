"""The customers' cards: all that the simulator knows, with the outcome of a charge or refund of each."""

import random
from collections.abc import Mapping

from oms_simulators.payment.testcards import TEST_CARDS, Outcome

OTHERWISE = 0.15  # share of the orders without refunds whose card is not the usual one
# The weight of each among those. A card for which the gateway is busy makes all others wait for three seconds, and so
# do some that it never accepts: with many of these, each recovery would depend on the gateway.
CHARGED: Mapping[Outcome, int] = {
    **dict.fromkeys((outcome for outcome in Outcome if outcome.declined), 40),
    Outcome.SLOW: 40,
    Outcome.FLAKY: 40,
    Outcome.LOST_ANSWER: 40,
    Outcome.BUSY: 1,
    Outcome.UNAVAILABLE: 1,
}
# Cards of orders that are refunded after they are confirmed. Only these, because a cancelled order waits for its refund
# and, if the money cannot be refunded, for an operator.
REFUNDED: Mapping[Outcome, int] = {
    Outcome.APPROVED: 6,
    Outcome.REFUND_PENDING: 2,
    Outcome.REFUND_FAILS: 1,
    Outcome.REFUND_FAILS_LATER: 1,
    Outcome.DISPUTED: 1,
}
# However often the refund is requested.
NOT_REFUNDED = (Outcome.REFUND_FAILS, Outcome.REFUND_FAILS_LATER, Outcome.DISPUTED)
# A charge that the gateway never accepts is given up on soon enough for the end of a run.
ENVIRONMENT = {"OMS_CHARGE_PATIENCE_SECONDS": "10", "OMS_DISPUTES_SECONDS": "5"}
NOT_CHARGED = {Outcome.UNAVAILABLE, *(outcome for outcome in Outcome if outcome.declined)}
_NUMBERS = {card.outcome: number for number, card in TEST_CARDS.items()}


def number(rng: random.Random, *, is_refunded: bool) -> str:
    """Return the number of a customer's card."""
    if not is_refunded and rng.random() > OTHERWISE:
        return _NUMBERS[Outcome.APPROVED]
    weights = REFUNDED if is_refunded else CHARGED
    (outcome,) = rng.choices(list(weights), list(weights.values()))
    return _NUMBERS[outcome]
