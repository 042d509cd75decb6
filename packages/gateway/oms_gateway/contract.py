"""What a payment gateway does for this system. The simulators' tests/gateway specifies how every provider behaves."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from oms_gateway.cards import Card, Token

ABANDONED = "abandoned"
CALL_SECONDS = 30.0


def charge_key(order_id: str) -> str:
    """Return the idempotency key of an order's only charge."""
    return f"{order_id}:charge"


def charged_order(key: str) -> str:
    """Return the order to whose charge this key belongs. A key that is not ours is returned as it is."""
    return key.removesuffix(charge_key(""))


def refund_key(order_id: str) -> str:
    """Return the idempotency key of the refund of a cancelled order's whole amount."""
    return f"{order_id}:refund"


def requested_refund_key(order_id: str, refund_id: str) -> str:
    """Return the idempotency key of a requested refund of a confirmed order, which may have several."""
    return f"{order_id}:refund:{refund_id}"


@dataclass(frozen=True)
class Charge:
    """A charge that was approved or declined. `amount` is in minor units; `reason` is the gateway's decline code."""

    id: str
    approved: bool
    amount: int
    currency: str
    reason: str | None = None


class RefundStatus(StrEnum):
    """The status of a refund that the gateway has accepted."""

    SUCCEEDED = "succeeded"
    PENDING = "pending"  # ask again later: it may take days
    FAILED = "failed"  # the customer's bank did not accept it: no money moved


@dataclass(frozen=True)
class Refund:
    """A refund that the gateway has accepted. `amount` is in minor units."""

    id: str
    charge_id: str
    amount: int
    status: RefundStatus = RefundStatus.SUCCEEDED


@dataclass(frozen=True)
class Dispute:
    """Money of a charge that the customer's bank has taken back by itself. `key` is the charge's."""

    id: str
    key: str
    charge_id: str
    amount: int
    currency: str


@dataclass(frozen=True)
class FailedRefund:
    """A refund that failed, at once or after it had succeeded. `key` is the charge's."""

    id: str
    key: str
    charge_id: str
    amount: int
    currency: str


class Tokeniser(Protocol):
    """The side of the gateway that sees cards. It needs no secret key."""

    def tokenise(self, card: Card) -> Token:
        """Return a token for the card. Raises CardRefused."""
        ...


class Gateway(Protocol):
    """The side of the gateway that moves money. Safe to call from several threads.

    Every call may raise Retryable; a repeated call with the same key never moves money a second time. Every call ends
    within CALL_SECONDS, however slowly its answer arrives: a timeout for each read would not limit a whole answer.
    RequestRefused means that this call is wrong, GatewayClosed that every other call would fail, too.
    """

    def charge(self, key: str, token: str, amount: int, currency: str) -> Charge:
        """Take `amount` minor units; a decline is an outcome, not an error. Raises RequestRefused."""
        ...

    def find(self, key: str) -> Charge | None:
        """The charge that was made under this key, if there is one.

        It is asked seconds after a call whose answer was lost, and days later. An index that lags, or a key that is
        forgotten after a day, would have a customer charged twice. (With Stripe: keep the id of the PaymentIntent,
        which is made before it is confirmed.)
        """
        ...

    def abandon(self, key: str) -> Charge:
        """Make sure that nothing is charged under this key from now on, and report what was charged before.

        An earlier charge is reported as it is. Otherwise the key is closed, and the answer is a decline whose reason is
        ABANDONED: a charge call that is still under way somewhere then finds the key closed. (With Stripe: cancel
        the PaymentIntent.)
        """
        ...

    def refund(self, key: str, charge_id: str, amount: int) -> Refund:
        """Give `amount` minor units back. Raises RequestRefused if all refunds would exceed the charge, or what is not
        disputed of it.

        A refund may be PENDING for days, and FAILED days after it had SUCCEEDED. A FAILED refund no longer counts, and
        its key cannot make another one.
        """
        ...

    def find_refund(self, key: str) -> Refund | None:
        """Return the refund that was made under this key, as it is now, or None."""
        ...

    def refunds_of(self, charge_id: str) -> Sequence[Refund]:
        """Return all refunds of this charge, including those that an operator made in the provider's dashboard."""
        ...

    def disputes(self, days: float) -> Sequence[Dispute]:
        """Return what customers' banks have taken back in the last `days` days, of any charge."""
        ...

    def failed_refunds(self, days: float) -> Sequence[FailedRefund]:
        """Return the refunds of any charge that have FAILED in the last `days` days, whoever made them. (With Stripe:
        the events `refund.failed`.)"""
        ...

    def close(self) -> None:
        """Close the connections. Any later call raises GatewayUnavailable."""
        ...


class Settings(Protocol):
    """What a provider may read of a service's settings."""

    @property
    def database_url(self) -> str:
        """The service's own database."""
        ...


class Provider(Protocol):
    """A company that moves money: its two sides, each made from the settings of the service that uses it."""

    def tokeniser(self, settings: Settings, /) -> Tokeniser:
        """Return the tokeniser, for the order service, which sees cards."""
        ...

    def gateway(self, settings: Settings, /) -> Gateway:
        """Return the gateway, for the payment service, which only sees tokens."""
        ...
