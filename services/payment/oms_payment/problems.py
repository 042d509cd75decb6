"""The problems for which an operator's command on a payment is refused."""

from oms_chassis.http.problems import Problem


class NoSuchPayment(Problem):
    """This service has not processed the order's creation yet, or there is no such order."""

    status, kind, title = 404, "no-such-payment", "There is no payment for this order"


class PaymentSettled(Problem):
    """The payment was charged, failed or was refunded: nothing about it is open."""

    status, kind, title = 409, "payment-settled", "This payment is settled"


class PaymentOfLaterRelease(Problem):
    """A later release has moved the payment into a state that this release does not know."""

    status, kind, title = 409, "payment-of-later-release", "A later release of the service has to settle this payment"


class ChargeOpen(Problem):
    """A refund can be recorded only once it is known whether there is a charge. Ask the gateway first."""

    status, kind, title = 409, "charge-open", "The outcome of this payment's charge is not known yet"


class NothingToClose(Problem):
    """Only a charge whose outcome is not known can be closed."""

    status, kind, title = 409, "nothing-to-close", "No charge of this payment is open"


class NoSuchRefund(Problem):
    """The order has no such refund, or this service has not processed the refund's request yet."""

    status, kind, title = 404, "no-such-refund", "There is no such refund of this order"


class RefundSettled(Problem):
    """The money has been returned. If the order does not show that, `oms payments resolve ORDER --refund ID` publishes
    the outcome again."""

    status, kind, title = 409, "refund-settled", "This refund has succeeded"


class RefundNotFailed(Problem):
    """Only a refund that is known to have failed can be made again. Ask the gateway for the outcome of
    any other refund."""

    status, kind, title = 409, "refund-not-failed", "This refund has not failed"


class RefundTooLarge(Problem):
    """Other refunds have been made since this one failed."""

    status, kind, title = 409, "refund-too-large", "The refund is larger than what remains of the charge"
