"""The only card numbers that the simulator accepts, each with its brand and the outcome of a charge.

Real cards are never among them, so nobody can type one into a demonstration. The numbers from 3… to 6… are those that
Stripe documents for testing, with the outcomes that it documents (docs.stripe.com/testing); those from 9999… are the
simulator's own, from a range that no card network issues.
"""

from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """The outcome of a charge. Those that are neither faults nor APPROVED are declines, named by Stripe's code."""

    APPROVED = "approved"
    CARD_DECLINED = "card_declined"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    LOST_CARD = "lost_card"
    STOLEN_CARD = "stolen_card"
    EXPIRED_CARD = "expired_card"
    INCORRECT_CVC = "incorrect_cvc"
    PROCESSING_ERROR = "processing_error"
    CARD_VELOCITY_EXCEEDED = "card_velocity_exceeded"
    SLOW = "slow"  # approved, after some seconds
    FLAKY = "flaky"  # the first call is not accepted, the next is approved
    LOST_ANSWER = "lost_answer"  # approved, but the answer to the first call never comes
    UNAVAILABLE = "unavailable"  # no call is ever accepted
    BUSY = "busy"  # the first call finds the gateway closed for some seconds, the next is approved
    REFUND_PENDING = "refund_pending"  # approved; a refund of it succeeds some seconds later
    REFUND_FAILS = "refund_fails"  # approved; a refund of it is pending at first, and fails some seconds later
    REFUND_FAILS_LATER = "refund_fails_later"  # approved; a refund of it succeeds, and fails some seconds later
    DISPUTED = "disputed"  # approved, and taken back by the customer's bank

    @property
    def declined(self) -> bool:
        """Whether a charge ends without money moving."""
        return self not in _CHARGED


_CHARGED = {
    Outcome.APPROVED,
    Outcome.SLOW,
    Outcome.FLAKY,
    Outcome.LOST_ANSWER,
    Outcome.UNAVAILABLE,
    Outcome.BUSY,
    Outcome.REFUND_PENDING,
    Outcome.REFUND_FAILS,
    Outcome.REFUND_FAILS_LATER,
    Outcome.DISPUTED,
}


class KnownCard(NamedTuple):
    """A card that the simulator knows."""

    brand: str
    outcome: Outcome


_BY_BRAND = {
    "test": ["1234"],  # the card of the sample order
    "visa": ["4242424242424242", "4000056655665556"],
    "mastercard": ["5555555555554444", "2223003122003222", "5200828282828210", "5105105105105100"],
    "amex": ["378282246310005", "371449635398431"],
    "discover": ["6011111111111117", "6011000990139424", "6011981111111113"],
    "diners": ["3056930009020004", "36227206271667"],
    "jcb": ["3566002020360505"],
    "unionpay": ["6200000000000005", "6200000000000047", "6205500000000000004"],
}
_BY_OUTCOME = {
    "4000000000000002": KnownCard("visa", Outcome.CARD_DECLINED),
    "4000000000009995": KnownCard("visa", Outcome.INSUFFICIENT_FUNDS),
    "4000000000009987": KnownCard("visa", Outcome.LOST_CARD),
    "4000000000009979": KnownCard("visa", Outcome.STOLEN_CARD),
    "4000000000000069": KnownCard("visa", Outcome.EXPIRED_CARD),
    "4000000000000127": KnownCard("visa", Outcome.INCORRECT_CVC),
    "4000000000000119": KnownCard("visa", Outcome.PROCESSING_ERROR),
    "4000000000006975": KnownCard("visa", Outcome.CARD_VELOCITY_EXCEEDED),
    "4000000000007726": KnownCard("visa", Outcome.REFUND_PENDING),
    "4000000000005126": KnownCard("visa", Outcome.REFUND_FAILS_LATER),
    "4000000000000259": KnownCard("visa", Outcome.DISPUTED),
    "9999000000000001": KnownCard("test", Outcome.SLOW),
    "9999000000000002": KnownCard("test", Outcome.FLAKY),
    "9999000000000003": KnownCard("test", Outcome.LOST_ANSWER),
    "9999000000000004": KnownCard("test", Outcome.UNAVAILABLE),
    "9999000000000005": KnownCard("test", Outcome.BUSY),
    "9999000000000006": KnownCard("test", Outcome.REFUND_FAILS),
}
TEST_CARDS = {
    number: KnownCard(brand, Outcome.APPROVED) for brand, numbers in _BY_BRAND.items() for number in numbers
} | _BY_OUTCOME
