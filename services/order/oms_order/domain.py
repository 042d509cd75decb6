"""What an order may become, and why. Pure: no database, no broker, no clock.

    PENDING ──> PAID ──> CONFIRMED
       └────┬────┘
            v
        CANCELLING ──> CANCELLED

Topics overtake one another, and events come twice. So an order remembers the facts that it knows, and its status
follows from all of them together: whatever the order of arrival, the same facts end in the same status.
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
    OUT_OF_STOCK = "out-of-stock"


class Fact(StrEnum):
    """What other services have published about an order."""

    PAID = "paid"
    DECLINED = "declined"
    STOCK_RESERVED = "stock-taken"  # the value is in databases, and is not renamed
    STOCK_REJECTED = "stock-rejected"
    REFUNDED = "refunded"


class IllegalTransition(Exception):
    """The diagram has no such arrow."""


TERMINAL = frozenset({Status.CONFIRMED, Status.CANCELLED})
ARROWS = frozenset(
    {
        (Status.PENDING, Status.PAID),
        (Status.PENDING, Status.CANCELLING),
        (Status.PAID, Status.CONFIRMED),
        (Status.PAID, Status.CANCELLING),
        (Status.CANCELLING, Status.CANCELLED),
    }
)


@dataclass(frozen=True)
class Rule:
    """In `status`, any fact of `proof` moves the order on to `next`."""

    status: Status
    proof: frozenset[Fact]
    next: Status
    reason: Reason | None = None


# Stock is asked for only once the charge has settled: an answer about stock proves the payment that it overtook.
# A refund says nothing about its cause, so that one which comes early waits for the rejection that it overtook.
RULES = (
    Rule(Status.PENDING, frozenset({Fact.PAID, Fact.STOCK_RESERVED, Fact.STOCK_REJECTED}), Status.PAID),
    Rule(Status.PENDING, frozenset({Fact.DECLINED}), Status.CANCELLING, Reason.PAYMENT_DECLINED),
    Rule(Status.PAID, frozenset({Fact.STOCK_RESERVED}), Status.CONFIRMED),
    Rule(Status.PAID, frozenset({Fact.STOCK_REJECTED}), Status.CANCELLING, Reason.OUT_OF_STOCK),
    # Nothing was charged after a decline, and there is nothing to wait for.
    Rule(Status.CANCELLING, frozenset({Fact.REFUNDED, Fact.DECLINED}), Status.CANCELLED),
)
_NEVER_BOTH = (
    (frozenset({Fact.DECLINED}), frozenset(Fact) - {Fact.DECLINED}),
    (frozenset({Fact.STOCK_RESERVED}), frozenset({Fact.STOCK_REJECTED, Fact.REFUNDED})),
)


@dataclass(frozen=True)
class Step:
    """One row of an order's timeline. Positions count from 1 without a gap."""

    position: int
    status: Status
    reason: Reason | None


@dataclass(frozen=True)
class Order:
    """An order as far as its status goes. `version` is the position of its newest timeline row."""

    id: str
    status: Status = Status.PENDING
    reason: Reason | None = None
    facts: frozenset[Fact] = frozenset()
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
            steps.append(Step(order.version, order.status, order.reason))
        return order, steps


def contradictory(facts: frozenset[Fact]) -> bool:
    """Whether no correct run of the other services can have said all of this about one order."""
    return any(facts & one and facts & other for one, other in _NEVER_BOTH)


def _rule(order: Order) -> Rule | None:
    return next((rule for rule in RULES if rule.status is order.status and rule.proof & order.facts), None)
