"""The Order Service's problems: one class for each kind of mistake."""

from collections.abc import Mapping

from oms_chassis.http.problems import Problem


class OrderNotFound(Problem):
    """No order has this id."""

    status, kind, title = 404, "order-not-found", "There is no order with this id"


class TooLateToCancel(Problem):
    """The order has progressed too far, or has already ended. The detail names its status."""

    status, kind, title = 409, "too-late-to-cancel", "The order cannot be cancelled any more"


class NotRefundable(Problem):
    """Only a CONFIRMED order can be refunded. The detail names the order's status."""

    status, kind, title = 409, "not-refundable", "The order cannot be refunded"


class RefundTooLarge(Problem):
    """The refund exceeds what remains of the payment. The detail says how much remains."""

    status, kind, title = 409, "refund-too-large", "The refund is larger than what remains of the payment"


class InvalidOrder(Problem):
    """Fields are missing, unknown or wrong. If all of them are wrong in the same way, `type` names that way:
    missing-field, unknown-field, out-of-range, bad-text, bad-length, wrong-type, bad-email, bad-phone, bad-card-number,
    bad-cvv, bad-expiry."""

    status, kind, title = 422, "invalid-request", "The order is not valid"

    def __init__(self, kind: str, *errors: tuple[str, str]) -> None:
        self.kind = kind
        super().__init__(*errors)


class BadPhone(Problem):
    """The customer's number cannot be a phone number."""

    status, kind, title = 422, "bad-phone", "The request is not valid"


class DuplicateItem(Problem):
    """Each item may be in only one line of an order."""

    status, kind, title = 422, "duplicate-item", "An item is in the order twice"


class UnknownItem(Problem):
    """The catalogue has no item with this id."""

    status, kind, title = 422, "unknown-item", "There is no such item"


class CatalogueEmpty(Problem):
    """The inventory has published no item yet, as in the first second of a new installation. Nothing was stored, and
    the same order may be sent again after Retry-After."""

    status, kind, title = 503, "catalogue-empty", "The service knows of no item yet"
    headers: Mapping[str, str] = {"Retry-After": "1"}


class CatalogueIncomplete(Problem):
    """An item is unknown while the inventory is still publishing its first items, as in the first seconds of a new
    installation. Nothing was stored, and the same order may be sent again after Retry-After."""

    status, kind, title = 503, "catalogue-incomplete", "An item is not known, or not yet"
    headers: Mapping[str, str] = {"Retry-After": "1"}


class OutOfStock(Problem):
    """An item is sold out according to the catalogue. Nothing was charged; the same order may be sent again later."""

    status, kind, title = 409, "out-of-stock", "An item is sold out"


class TotalTooLarge(Problem):
    """The order's total exceeds what can be charged."""

    status, kind, title = 422, "total-too-large", "The order is too large"


class MixedCurrencies(Problem):
    """All items of an order must have the same currency."""

    status, kind, title = 422, "mixed-currencies", "The items have different currencies"


class CardNotAccepted(Problem):
    """The gateway refuses to tokenise this card."""

    status, kind, title = 422, "card-refused", "The gateway does not accept this card"


class BadIdempotencyKey(Problem):
    """A key is 1 to 200 printable ASCII characters without spaces. Since it is stored, it must hold no card number."""

    status, kind, title = 422, "bad-idempotency-key", "The Idempotency-Key cannot be used"


class IdempotencyKeyRequired(Problem):
    """This service is configured to refuse orders without a key."""

    status, kind, title = 400, "idempotency-key-required", "An order needs an Idempotency-Key"


class IdempotencyKeyReused(Problem):
    """A key can be used for one body only, and this body differs from the first."""

    status, kind, title = 422, "idempotency-key-reused", "This Idempotency-Key was used for another request"


class IdempotencyKeyInUse(Problem):
    """The first request with this key has not been answered yet."""

    status, kind, title = 409, "idempotency-key-in-use", "A request with this Idempotency-Key is still being processed"
    headers: Mapping[str, str] = {"Retry-After": "1"}


class Busy(Problem):
    """Nothing was stored, and the same request may be sent again after Retry-After."""

    status, kind, title = 503, "busy", "Too many orders are waiting to be processed"
    headers: Mapping[str, str] = {"Retry-After": "5"}


class TooManyListeners(Problem):
    """This process has reached its limit of listeners."""

    status, kind, title = 503, "busy", "Too many clients are following orders"
    headers: Mapping[str, str] = {"Retry-After": "5"}
