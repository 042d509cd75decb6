"""What an order may become, and why. Pure: no database, no broker, no clock.

    PENDING ──> PAID ──> CONFIRMED
       └────┬─────────────┘
            v         cancelled within its time
        CANCELLING ──> CANCELLED

Topics overtake one another, and events come twice. So an order remembers the facts that it knows, and its status
follows from all of them together: whatever the order of arrival, the same facts end in the same status. Two facts are
decided here, while the order is locked: that its customer cancelled it, and that it waited for too long. From then on
nothing confirms it. It is CANCELLED once payment and inventory have said that they hold nothing of it.

A status, a reason or a fact of a later release is a plain string. It is kept, and proves nothing here: an order in such
a status gathers facts, and whoever knows the status moves it on.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Status(StrEnum):
    """How far an order has come."""

    PENDING = "PENDING"
    PAID = "PAID"
    CONFIRMED = "CONFIRMED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"


class Reason(StrEnum):
    """Why an order is cancelled."""

    PAYMENT_DECLINED = "payment-declined"
    PAYMENT_UNAVAILABLE = "payment-unavailable"
    OUT_OF_STOCK = "out-of-stock"
    CUSTOMER = "customer"
    TIMED_OUT = "timed-out"


class Fact(StrEnum):
    """What other services have published about an order, and what was decided here."""

    PAID = "paid"
    DECLINED = "declined"
    NOT_CHARGED = "not-charged"  # by a gateway that could not be reached, or would not: no fault of the card's
    STOCK_RESERVED = "stock-taken"  # the value is in databases, and is not renamed
    STOCK_REJECTED = "stock-rejected"
    REFUNDED = "refunded"
    STOCK_RELEASED = "stock-released"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed-out"


class IllegalTransition(Exception):
    """The diagram has no such arrow."""


class TooLate(Exception):
    """The order can no longer be cancelled by its customer."""

    def __init__(self, status: Status | str, reason: Reason | str | None) -> None:
        super().__init__(status)
        self.status, self.reason = status, reason


TERMINAL = frozenset({Status.CONFIRMED, Status.CANCELLED})
ARROWS = frozenset(
    {
        (Status.PENDING, Status.PAID),
        (Status.PENDING, Status.CANCELLING),
        (Status.PAID, Status.CONFIRMED),
        (Status.PAID, Status.CANCELLING),
        (Status.CONFIRMED, Status.CANCELLING),
        (Status.CANCELLING, Status.CANCELLED),
    }
)


@dataclass(frozen=True)
class Rule:
    """In `status`, a fact of each set of `proof` moves the order on to `next`."""

    status: Status
    proof: tuple[frozenset[Fact], ...]
    next: Status
    reason: Reason | None = None


def _any(*facts: Fact) -> tuple[frozenset[Fact]]:
    return (frozenset(facts),)


# What says that no money of the customer's is held, and what says that no stock is. Nothing is charged after a payment
# failed, and stock is reserved for nothing that was not charged.
PAYMENT_FAILED = frozenset({Fact.DECLINED, Fact.NOT_CHARGED})
MONEY_IS_BACK = PAYMENT_FAILED | {Fact.REFUNDED}
STOCK_IS_FREE = PAYMENT_FAILED | {Fact.STOCK_REJECTED, Fact.STOCK_RELEASED}
# Stock is asked for only once the charge has settled: an answer about stock proves the payment that it overtook.
# A refund says nothing about its cause, so that one which comes early waits for the rejection that it overtook.
RULES = (
    Rule(Status.PENDING, _any(Fact.CANCELLED), Status.CANCELLING, Reason.CUSTOMER),
    Rule(Status.PENDING, _any(Fact.TIMED_OUT), Status.CANCELLING, Reason.TIMED_OUT),
    Rule(Status.PENDING, _any(Fact.PAID, Fact.STOCK_RESERVED, Fact.STOCK_REJECTED), Status.PAID),
    Rule(Status.PENDING, _any(Fact.DECLINED), Status.CANCELLING, Reason.PAYMENT_DECLINED),
    Rule(Status.PENDING, _any(Fact.NOT_CHARGED), Status.CANCELLING, Reason.PAYMENT_UNAVAILABLE),
    Rule(Status.PAID, _any(Fact.CANCELLED), Status.CANCELLING, Reason.CUSTOMER),
    Rule(Status.PAID, _any(Fact.TIMED_OUT), Status.CANCELLING, Reason.TIMED_OUT),
    Rule(Status.PAID, _any(Fact.STOCK_RESERVED), Status.CONFIRMED),
    Rule(Status.PAID, _any(Fact.STOCK_REJECTED), Status.CANCELLING, Reason.OUT_OF_STOCK),
    Rule(Status.CONFIRMED, _any(Fact.CANCELLED), Status.CANCELLING, Reason.CUSTOMER),
    Rule(Status.CANCELLING, (MONEY_IS_BACK, STOCK_IS_FREE), Status.CANCELLED),
)
_DECIDED_HERE = frozenset({Fact.CANCELLED, Fact.TIMED_OUT})
_NEVER_BOTH = (
    (PAYMENT_FAILED, frozenset({Fact.PAID, Fact.STOCK_RESERVED, Fact.STOCK_REJECTED, Fact.REFUNDED})),
    (frozenset({Fact.STOCK_RESERVED}), frozenset({Fact.STOCK_REJECTED})),
)
_ONLY_IF_CANCELLED = (
    (frozenset({Fact.STOCK_RESERVED}), frozenset({Fact.REFUNDED})),
    (frozenset({Fact.STOCK_RELEASED}), frozenset(Fact)),
)


@dataclass(frozen=True)
class Step:
    """One row of an order's timeline. Positions count from 1 without a gap."""

    position: int
    status: Status
    reason: Reason | str | None


@dataclass(frozen=True)
class Order:
    """An order as far as its status goes. `version` is the position of its newest timeline row."""

    id: str
    status: Status | str = Status.PENDING
    reason: Reason | str | None = None
    facts: frozenset[Fact | str] = frozenset()
    version: int = 1

    def transition_to(self, status: Status, reason: Reason | None = None) -> "Order":
        """The order one arrow further; IllegalTransition if the diagram has no such arrow."""
        if (self.status, status) not in ARROWS:
            raise IllegalTransition(f"{self.status} -> {status}")
        return replace(self, status=status, reason=reason or self.reason, version=self.version + 1)

    def apply(self, facts: Iterable[Fact]) -> tuple["Order", list[Step]]:
        """The order with these facts, and the steps that they led to: none if they change nothing."""
        order = replace(self, facts=self.facts | frozenset(facts))
        steps = []
        while rule := _rule(order):
            order = order.transition_to(rule.next, rule.reason)
            steps.append(Step(order.version, rule.next, order.reason))
        return order, steps


def cancel(order: Order, confirmed_for: float, window: float) -> tuple[Order, list[Step]]:
    """The order as its customer cancels it, and the steps; none if that was done before.

    It is in time until the order is CONFIRMED, and for `window` seconds after. Raises TooLate.
    """
    if Fact.CANCELLED in order.facts:
        return order, []
    if order.status in (Status.PENDING, Status.PAID) or (order.status is Status.CONFIRMED and confirmed_for < window):
        return order.apply([Fact.CANCELLED])
    raise TooLate(order.status, order.reason)


def time_out(order: Order) -> tuple[Order, list[Step]]:
    """The order as it is given up after it waited for too long; unchanged if it does not wait any more."""
    return order.apply([Fact.TIMED_OUT]) if order.status in (Status.PENDING, Status.PAID) else (order, [])


def contradictory(facts: frozenset[Fact | str]) -> bool:
    """Whether no correct run of the other services can have said all of this about one order."""
    pairs = _NEVER_BOTH if facts & _DECIDED_HERE else (*_NEVER_BOTH, *_ONLY_IF_CANCELLED)
    return any(facts & one and facts & other for one, other in pairs)


def _rule(order: Order) -> Rule | None:
    return next((rule for rule in RULES if rule.status is order.status and _proves(order.facts, rule.proof)), None)


def _proves(facts: frozenset[Fact | str], proof: Iterable[frozenset[Fact]]) -> bool:
    return all(facts & one for one in proof)
