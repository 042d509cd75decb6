"""The life cycle of an order. Pure: no database, no broker, no clock.

    PENDING ──> PAID ──> CONFIRMED
       └────┬─────────────┘
            v         cancelled within its time
        CANCELLING ──> CANCELLED

Topics overtake one another, and events are delivered twice. So an order remembers every fact, and its status follows
from all of them together: the same facts lead to the same status, whatever the order of their arrival. Two facts are
decided here, while the order is locked: that the customer cancelled it, and that it timed out. After either, nothing
can confirm the order; it is CANCELLED once payment and inventory have published that they hold nothing of it.

A status, a reason or a fact of a later release is a plain string. It is kept, but no rule here applies to it: an order
in such a status collects facts until that release is back and moves it on.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Status(StrEnum):
    """The status of an order."""

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
    """Something that is known about an order: published by another service, or decided here."""

    PAID = "paid"
    DECLINED = "declined"
    NOT_CHARGED = "not-charged"  # because the gateway was unreachable or failed: not the card's fault
    STOCK_RESERVED = "stock-taken"  # the value is in databases, and is not renamed
    STOCK_REJECTED = "stock-rejected"
    REFUNDED = "refunded"
    STOCK_RELEASED = "stock-released"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed-out"


class IllegalTransition(Exception):
    """The diagram has no arrow for this transition."""


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
    """An order in `status` moves on to `next` once it has at least one fact of each set in `proof`."""

    status: Status
    proof: tuple[frozenset[Fact], ...]
    next: Status
    reason: Reason | None = None


def _any(*facts: Fact) -> tuple[frozenset[Fact]]:
    return (frozenset(facts),)


# The facts that prove that none of the customer's money is held, and that no stock is. After a failed payment nothing
# is charged, and nothing is reserved for an order that was not charged.
PAYMENT_FAILED = frozenset({Fact.DECLINED, Fact.NOT_CHARGED})
MONEY_IS_BACK = PAYMENT_FAILED | {Fact.REFUNDED}
STOCK_IS_FREE = PAYMENT_FAILED | {Fact.STOCK_REJECTED, Fact.STOCK_RELEASED}
# Stock is requested only after the charge has settled, so a fact about stock proves the payment that it overtook.
# A refund does not name its cause: one that arrives early waits for the rejection that it overtook.
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
    """One row of an order's timeline. Positions count from 1 without gaps."""

    position: int
    status: Status
    reason: Reason | str | None


@dataclass(frozen=True)
class Order:
    """An order's status and what it follows from. `version` is the position of its newest timeline row."""

    id: str
    status: Status | str = Status.PENDING
    reason: Reason | str | None = None
    facts: frozenset[Fact | str] = frozenset()
    version: int = 1

    def transition_to(self, status: Status, reason: Reason | None = None) -> "Order":
        """The order in its next status. Raises IllegalTransition if the diagram has no such arrow."""
        if (self.status, status) not in ARROWS:
            raise IllegalTransition(f"{self.status} -> {status}")
        return replace(self, status=status, reason=reason or self.reason, version=self.version + 1)

    def apply(self, facts: Iterable[Fact]) -> tuple["Order", list[Step]]:
        """The order with these facts added, and the steps that follow from them, if any."""
        order = replace(self, facts=self.facts | frozenset(facts))
        steps = []
        while rule := _rule(order):
            order = order.transition_to(rule.next, rule.reason)
            steps.append(Step(order.version, rule.next, order.reason))
        return order, steps


def cancel(order: Order, confirmed_for: float, window: float) -> tuple[Order, list[Step]]:
    """The order after its customer has cancelled it, and the steps of that: none if it had been cancelled before.

    Allowed until the order is CONFIRMED, and for `window` seconds afterwards. Raises TooLate.
    """
    if Fact.CANCELLED in order.facts:
        return order, []
    if order.status in (Status.PENDING, Status.PAID) or (order.status is Status.CONFIRMED and confirmed_for < window):
        return order.apply([Fact.CANCELLED])
    raise TooLate(order.status, order.reason)


def time_out(order: Order) -> tuple[Order, list[Step]]:
    """The order after it has timed out, and the steps of that; unchanged if it is not waiting any more."""
    return order.apply([Fact.TIMED_OUT]) if order.status in (Status.PENDING, Status.PAID) else (order, [])


def contradictory(facts: frozenset[Fact | str]) -> bool:
    """Whether these facts exclude each other, so that another service must have published something wrong."""
    pairs = _NEVER_BOTH if facts & _DECIDED_HERE else (*_NEVER_BOTH, *_ONLY_IF_CANCELLED)
    return any(facts & one and facts & other for one, other in pairs)


def _rule(order: Order) -> Rule | None:
    return next((rule for rule in RULES if rule.status is order.status and _proves(order.facts, rule.proof)), None)


def _proves(facts: frozenset[Fact | str], proof: Iterable[frozenset[Fact]]) -> bool:
    return all(facts & one for one in proof)
