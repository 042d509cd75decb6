"""What a payment gateway does for this system. The simulators' tests/gateway states how every provider behaves."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from oms_gateway.cards import Card, Token

ABANDONED = "abandoned"
CALL_SECONDS = 30.0


def charge_key(order_id: str) -> str:
    """The idempotency key of an order's one charge."""
    return f"{order_id}:charge"


def charged_order(key: str) -> str:
    """The order of whose charge this is the key; a key of somebody else's as it is."""
    return key.removesuffix(charge_key(""))


def refund_key(order_id: str) -> str:
    """The idempotency key of the one refund of an order that ends without having been delivered."""
    return f"{order_id}:refund"


def requested_refund_key(order_id: str, refund_id: str) -> str:
    """The idempotency key of a refund that was asked for of a confirmed order, of which there may be several."""
    return f"{order_id}:refund:{refund_id}"


@dataclass(frozen=True)
class Charge:
    """A charge that came to an end. `amount` is in minor units; `reason` is the gateway's code for a decline."""

    id: str
    approved: bool
    amount: int
    currency: str
    reason: str | None = None


class RefundStatus(StrEnum):
    """How far a refund has come that the gateway has taken."""

    SUCCEEDED = "succeeded"
    PENDING = "pending"  # it is to be asked for again: days may pass
    FAILED = "failed"  # the customer's bank did not take it: no money moved


@dataclass(frozen=True)
class Refund:
    """A refund that the gateway has taken. `amount` is in minor units."""

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
    """A refund that came to nothing, at once or after it had succeeded. `key` is the charge's."""

    id: str
    key: str
    charge_id: str
    amount: int
    currency: str


class Tokeniser(Protocol):
    """The side of the gateway that sees cards. It needs no secret key."""

    def tokenise(self, card: Card) -> Token:
        """A token for the card. Raises CardRefused."""
        ...


class Gateway(Protocol):
    """The side of the gateway that moves money. Safe to call from several threads.

    Every call may raise Retryable; a repeated call with the same key never moves money a second time. Every call ends
    within CALL_SECONDS, however its answer arrives: a time limit for each read is none for an answer that drips.
    RequestRefused is for what is wrong with this one call. What every other call would meet, too, is GatewayClosed.
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
        """Give `amount` minor units back: in all, no more than the charge, and nothing of what is disputed. Raises
        RequestRefused.

        It may be PENDING for days, and FAILED days after it had SUCCEEDED. One that has FAILED does not count any more,
        and its key makes no other.
        """
        ...

    def find_refund(self, key: str) -> Refund | None:
        """The refund that was made under this key, as it is now, if there is one."""
        ...

    def refunds_of(self, charge_id: str) -> Sequence[Refund]:
        """The refunds of this charge, whoever made them: an operator may have, in the provider's own web pages."""
        ...

    def disputes(self, days: float) -> Sequence[Dispute]:
        """What customers' banks have taken back in the last so many days, of any charge."""
        ...

    def failed_refunds(self, days: float) -> Sequence[FailedRefund]:
        """The refunds that have FAILED in the last so many days, of any charge, whoever made them. (With Stripe: the
        events `refund.failed`.)"""
        ...

    def close(self) -> None:
        """Let go of connections, at the end. A call that comes later raises GatewayUnavailable."""
        ...


class Settings(Protocol):
    """What a provider may read of a service's settings."""

    @property
    def database_url(self) -> str:
        """The service's own database."""
        ...


class Provider(Protocol):
    """A company that moves money: both ends of it, each made from the settings of the service that uses it."""

    def tokeniser(self, settings: Settings, /) -> Tokeniser:
        """For the order service, which sees cards."""
        ...

    def gateway(self, settings: Settings, /) -> Gateway:
        """For the payment service, which sees tokens only."""
        ...
