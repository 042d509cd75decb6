"""What this service refuses: one class for each mistake."""

from collections.abc import Mapping

from oms_chassis.http.problems import Problem


class OrderNotFound(Problem):
    """The id is that of no order."""

    status, kind, title = 404, "order-not-found", "There is no order with this id"


class TooLateToCancel(Problem):
    """The order has come too far, or to another end. The detail says which."""

    status, kind, title = 409, "too-late-to-cancel", "The order cannot be cancelled any more"


class NotRefundable(Problem):
    """Only what is CONFIRMED is refunded. The detail says what the order is."""

    status, kind, title = 409, "not-refundable", "The order cannot be refunded"


class RefundTooLarge(Problem):
    """Less of what was paid is left to be refunded. The detail says how much."""

    status, kind, title = 409, "refund-too-large", "More would be refunded than remains of what was paid"


class InvalidOrder(Problem):
    """Fields are missing, unknown or wrong. If all of them are wrong in one way, `type` names it: missing-field,
    unknown-field, out-of-range, bad-text, bad-length, wrong-type, bad-email, bad-phone, bad-card-number, bad-cvv,
    bad-expiry."""

    status, kind, title = 422, "invalid-request", "The order is not valid"

    def __init__(self, kind: str, *errors: tuple[str, str]) -> None:
        self.kind = kind
        super().__init__(*errors)


class BadPhone(Problem):
    """The customer's number cannot be a phone number."""

    status, kind, title = 422, "bad-phone", "The request is not valid"


class DuplicateItem(Problem):
    """An item is in one line of an order."""

    status, kind, title = 422, "duplicate-item", "An item comes twice"


class UnknownItem(Problem):
    """The catalogue has no item of this id."""

    status, kind, title = 422, "unknown-item", "There is no such item"


class CatalogueEmpty(Problem):
    """No item has come from the inventory yet, as in the first second of a new installation: nothing was stored, and
    the same order may be sent again after Retry-After."""

    status, kind, title = 503, "catalogue-empty", "The service knows of no item yet"
    headers: Mapping[str, str] = {"Retry-After": "1"}


class CatalogueIncomplete(Problem):
    """An item is not known, and items have only begun to come from the inventory, as in the first seconds of a new
    installation: nothing was stored, and the same order may be sent again after Retry-After."""

    status, kind, title = 503, "catalogue-incomplete", "An item is not known, and perhaps only not yet"
    headers: Mapping[str, str] = {"Retry-After": "1"}


class OutOfStock(Problem):
    """The catalogue says that an item is sold out; nothing was charged. The same order may be sent again later."""

    status, kind, title = 409, "out-of-stock", "An item is sold out"


class TotalTooLarge(Problem):
    """The order comes to more than can be charged."""

    status, kind, title = 422, "total-too-large", "The order is too large"


class MixedCurrencies(Problem):
    """An order has one currency."""

    status, kind, title = 422, "mixed-currencies", "The items have different currencies"


class CardNotAccepted(Problem):
    """The gateway makes no token of this card."""

    status, kind, title = 422, "card-refused", "The gateway does not take this card"


class BadIdempotencyKey(Problem):
    """A key is 1 to 200 printable ASCII characters without spaces, and holds no card number: it is kept."""

    status, kind, title = 422, "bad-idempotency-key", "The Idempotency-Key cannot be used"


class IdempotencyKeyRequired(Problem):
    """This service takes no order without a key."""

    status, kind, title = 400, "idempotency-key-required", "An order needs an Idempotency-Key"


class IdempotencyKeyReused(Problem):
    """A key is that of one body."""

    status, kind, title = 422, "idempotency-key-reused", "This Idempotency-Key was used for another request"


class IdempotencyKeyInUse(Problem):
    """The first request with this key has no answer yet."""

    status, kind, title = 409, "idempotency-key-in-use", "A request with this Idempotency-Key is still being worked on"
    headers: Mapping[str, str] = {"Retry-After": "1"}


class Busy(Problem):
    """Nothing was stored, and the same request may be sent again after Retry-After."""

    status, kind, title = 503, "busy", "Too many orders are waiting to be worked on"
    headers: Mapping[str, str] = {"Retry-After": "5"}


class TooManyListeners(Problem):
    """This process follows as many orders as it may."""

    status, kind, title = 503, "busy", "Too many listen to orders"
    headers: Mapping[str, str] = {"Retry-After": "5"}
