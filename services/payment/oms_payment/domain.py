"""The life cycle of an order's payment. Pure decisions: no database, no gateway, no clock.

              approved                 rejected                refunded
    PENDING ───────────▶ COMPLETED ───────────────▶ REFUNDING ◀─────────▶ REFUNDED
       │  │  declined                                 ▲    ▲
       │  └────────────▶ FAILED                       │    │ rejected: the order is not known (yet)
       └──────────────────────────────────────────────┘  nothing
          rejected: the charge's outcome is still unknown

A transition that the diagram lacks changes nothing: events and answers may arrive twice, late or in another order. An
order that was rejected before it was known is REFUNDING or REFUNDED when its creation arrives, and is never charged.
"Rejected" means out of stock or cancelled. A bank may send a refund's money back days later.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import Any

from oms_contracts.events import FAILED_TOO_OFTEN
from oms_contracts.lines import one_line

LONGEST_REASON = 200  # characters
LEAST_CALLS = 5  # failed calls before a charge is given up
REFUND_FAILED = "refund-failed"  # the reason of a payment that stays REFUNDING
NOT_CHARGED = "none"  # the refund's id when there was no money to give back


class State(StrEnum):
    """The state of an order's payment."""

    PENDING = "PENDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    REFUNDING = "REFUNDING"
    REFUNDED = "REFUNDED"


OPEN = (State.PENDING, State.REFUNDING)


class RefundState(StrEnum):
    """The state of a requested refund of a confirmed order. A SUCCEEDED refund may become FAILED later, and an operator
    may make a FAILED one PENDING or SUCCEEDED; the payment stays COMPLETED."""

    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class Step(Enum):
    """What an attempt at a charge does."""

    CHARGE = "charge"
    ASK_FIRST = "ask what became of the earlier call, then charge if nothing did"
    CLOSE = "ask, then close the key for good"


def step(attempts: int, failed_calls: int, failing_for: float, patience: float) -> Step:
    """What an attempt (counted from 1) does after `failed_calls`, the first of them `failing_for` seconds ago.

    A charge is never given up while its outcome is unknown: once `patience` is over, every further attempt only asks
    the gateway to close the key and report what became of it, until there is an answer. So an order whose payment
    failed has no charge, and cannot get one from a call that is still on its way.

    Time alone does not exhaust the patience: an order that has waited since the beginning of an outage is charged.
    """
    if attempts == 1:
        return Step.CHARGE
    return Step.ASK_FIRST if failing_for < patience or failed_calls < LEAST_CALLS else Step.CLOSE


@dataclass(frozen=True)
class Outcome:
    """The outcome of a charge."""

    approved: bool
    charge_id: str
    reason: str | None = None

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "Outcome":
        """Return the outcome that is stored with a job, perhaps by a later release with more fields."""
        return cls(kept["approved"], kept["charge_id"], kept["reason"])


@dataclass(frozen=True)
class Payment:
    """One order's payment. The methods return the payment as it is afterwards, or None if nothing changes. `outcome`
    numbers the outcomes of its refund, which may fail after a success, and be retried."""

    order_id: str
    state: State
    charge_id: str | None = None
    refund_id: str | None = None
    reason: str | None = None
    outcome: int = 0

    @property
    def has_failed(self) -> bool:
        """Whether the refund has failed, so that an operator has to act."""
        return self.state is State.REFUNDING and self.reason in (REFUND_FAILED, FAILED_TOO_OFTEN)

    @property
    def had_failed(self) -> bool:
        """Whether the refund has succeeded after a failure: with several outcomes, one was a failure."""
        return self.state is State.REFUNDED and self.outcome > 1

    def charged(self, outcome: Outcome) -> "Payment | None":
        """The charge's outcome is known. If the order was rejected before, the charge is refunded."""
        charge_id = outcome.charge_id if outcome.approved else None
        if self.state is State.PENDING:
            state = State.COMPLETED if outcome.approved else State.FAILED
            return replace(self, state=state, charge_id=charge_id, reason=outcome.reason)
        if self.state is State.REFUNDING and self.charge_id is None and self.reason is None:
            return replace(self, charge_id=charge_id, reason=outcome.reason)
        return None

    def rejected(self) -> "Payment | None":
        """The order is out of stock or cancelled: it is to be refunded."""
        if self.state in (State.PENDING, State.COMPLETED):
            return replace(self, state=State.REFUNDING)
        return None

    def refund_failed(self, reason: str = REFUND_FAILED) -> "Payment | None":
        """The gateway accepted the refund, and it failed. Only an operator can have it retried."""
        if self.state is State.REFUNDING:
            return replace(self, reason=reason, outcome=self.outcome + 1)
        return None

    def refund_sent_back(self, refund_id: str) -> "Payment | None":
        """The refund has failed after it had succeeded."""
        if self.state is State.REFUNDED and self.refund_id == refund_id:
            number = self.outcome + 1
            return replace(self, state=State.REFUNDING, refund_id=None, reason=REFUND_FAILED, outcome=number)
        return None

    def refunded_again(self) -> "Payment":
        """The refund is retried."""
        return replace(self, reason=None)

    def refunded(self, refund_id: str) -> "Payment | None":
        """The money has been given back (NOT_CHARGED: none was taken)."""
        if self.state is State.REFUNDING:
            reason = None if self.has_failed else self.reason
            number = self.outcome + 1
            return replace(self, state=State.REFUNDED, refund_id=refund_id, reason=reason, outcome=number)
        return None


def failure_reason(code: str | None) -> str:
    """A gateway's code for a decline in the spelling of events' reasons: `lost_card` becomes `lost-card`. Unexpected
    text is cleaned, so that it can be stored and published."""
    return one_line(code or "").strip()[:LONGEST_REASON].replace("_", "-") or "card-declined"


@dataclass(frozen=True)
class Charged:
    """What refunds of a payment depend on: the amount that was charged, and how much is given back or about to be."""

    state: State
    amount: int
    currency: str
    given: int


def refusal(charged: Charged | None, amount: int, currency: str) -> str | None:
    """Why this amount cannot be refunded; None if it can."""
    if charged is None or charged.state is not State.COMPLETED:
        return "not-charged"
    if charged.currency != currency:
        return "another-currency"
    return "more-than-remains" if amount > charged.amount - charged.given else None
