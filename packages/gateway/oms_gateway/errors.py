"""What can go wrong at the gateway.

GatewayError
├── CardRefused             the tokeniser does not accept this card
├── RequestRefused          the gateway understood the call and refuses it: repeating it never helps
└── Retryable               repeating helps, sooner or later
    ├── GatewayUnavailable  the call was not accepted: nothing happened
    │   └── GatewayClosed   no call is accepted for now: too many calls, or a key that is not valid
    └── OutcomeUnknown      the call may have been carried out: ask with `find` before repeating it

No message contains anything of a card except the name of a field.
"""


class GatewayError(Exception):
    """The base of all errors of this package."""


class CardRefused(GatewayError):
    """The tokeniser does not accept this card. `field` names the part of the card that is at fault."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)
        self.field = field
        self.message = message

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class RequestRefused(GatewayError):
    """This call is wrong: an unknown token, a key that was used for something else, an amount that was refunded."""


class Retryable(GatewayError):
    """The call has no known outcome; a later one may have one."""


class GatewayUnavailable(Retryable):
    """The gateway did not accept the call: nothing happened."""


class GatewayClosed(GatewayUnavailable):
    """The gateway accepts no calls from us for now: it wants fewer (429), is closed for a while (503 with Retry-After),
    or rejects our key or address (401, 403, 404). `seconds` is for how long, if it says so. `answer` is the status, or
    a word; it contains nothing of the call."""

    def __init__(self, answer: int | str, seconds: float | None = None) -> None:
        super().__init__(answer, seconds)
        self.answer, self.seconds = answer, seconds


class OutcomeUnknown(Retryable):
    """The gateway may have carried out the call, but its answer never arrived."""
