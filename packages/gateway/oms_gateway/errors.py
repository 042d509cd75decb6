"""What can go wrong at the gateway.

GatewayError
├── CardRefused             the tokeniser does not take this card
├── RequestRefused          the gateway understood the call and says no: repeating it never helps
└── Retryable               repeating helps, sooner or later
    ├── GatewayUnavailable  the call was not taken: nothing happened
    │   └── GatewayClosed   nor is any other for now: too many calls, or a key that is not taken
    └── OutcomeUnknown      the call may have been carried out: ask with `find` before repeating it

No message holds anything of a card but the name of a field.
"""


class GatewayError(Exception):
    """The base of all that this package raises."""


class CardRefused(GatewayError):
    """The tokeniser does not take this card. `field` names the part of the card that is at fault."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)
        self.field = field
        self.message = message

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class RequestRefused(GatewayError):
    """The call is wrong in itself: an unknown token, a key used for something else, a refund of what was refunded."""


class Retryable(GatewayError):
    """The call did not come to an end that is known here; a later one can."""


class GatewayUnavailable(Retryable):
    """The gateway did not take the call: nothing happened."""


class GatewayClosed(GatewayUnavailable):
    """The gateway takes no call of ours for now, whatever it is about: it wants fewer (429), is closed for a while (503
    with Retry-After), or does not take our key or address (401, 403, 404). It wants none for so many `seconds`, if it
    says so. `answer` is the status, or a word; it holds nothing of the call."""

    def __init__(self, answer: int | str, seconds: float | None = None) -> None:
        super().__init__(answer, seconds)
        self.answer, self.seconds = answer, seconds


class OutcomeUnknown(Retryable):
    """The gateway may have carried the call out, but its answer never came."""
