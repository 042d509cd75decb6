"""What may become of an order's payment. Pure decisions: no database, no gateway, no clock.

              approved                 rejected                refunded
    PENDING ───────────▶ COMPLETED ───────────────▶ REFUNDING ◀─────────▶ REFUNDED
       │  │  declined                                 ▲    ▲
       │  └────────────▶ FAILED                       │    │ rejected: an order that is not known (yet)
       └──────────────────────────────────────────────┘  nothing
          rejected: the charge's outcome is still to come

Whatever the diagram lacks changes nothing: events and answers may come twice, late or in another order. An order that
was rejected before it was known is REFUNDING or REFUNDED when its creation arrives, and is then never charged.
"Rejected" is what there is no stock for, and what was cancelled. A bank may send back what was refunded, days later.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import Any

from oms_contracts.events import FAILED_TOO_OFTEN
from oms_contracts.lines import one_line

LONGEST_REASON = 200  # characters
LEAST_CALLS = 5  # calls for a charge that have failed before it is given up
REFUND_FAILED = "refund-failed"  # the reason of a payment that stays REFUNDING
NOT_CHARGED = "none"  # the refund's id when there was no money to give back


class State(StrEnum):
    """How far an order's payment has come."""

    PENDING = "PENDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    REFUNDING = "REFUNDING"
    REFUNDED = "REFUNDED"


OPEN = (State.PENDING, State.REFUNDING)


class RefundState(StrEnum):
    """How far a refund has come that was asked for of a confirmed order. One that has SUCCEEDED may have FAILED later,
    and an operator may make a FAILED one PENDING or SUCCEEDED; the payment stays COMPLETED."""

    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class Step(Enum):
    """What an attempt at a charge does."""

    CHARGE = "charge"
    ASK_FIRST = "ask what became of the earlier call, then charge if nothing did"
    CLOSE = "ask, then close the key for good"


def step(attempts: int, failed_calls: int, failing_for: float, patience: float) -> Step:
    """What the attempt of this number (from 1) does, when so many calls have failed, the first so many seconds ago.

    A charge is never given up while its outcome is unknown: when `patience` is over, each further attempt only asks the
    gateway to close the key and to say what became of it, for as long as it takes to get an answer. An order whose
    payment failed thus has no charge, and cannot get one from a call that is still on its way.

    Time alone ends no patience: an order that met the beginning of an outage, and has waited since, is charged.
    """
    if attempts == 1:
        return Step.CHARGE
    return Step.ASK_FIRST if failing_for < patience or failed_calls < LEAST_CALLS else Step.CLOSE


@dataclass(frozen=True)
class Outcome:
    """How a charge ended."""

    approved: bool
    charge_id: str
    reason: str | None = None

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "Outcome":
        """The outcome that was kept with a job, perhaps by a later release, which says more."""
        return cls(kept["approved"], kept["charge_id"], kept["reason"])


@dataclass(frozen=True)
class Payment:
    """One order's payment. Each method answers the payment as it is afterwards, or None if nothing changes. `outcome`
    counts what became of its refund: it may fail after it had succeeded, and be made once more."""

    order_id: str
    state: State
    charge_id: str | None = None
    refund_id: str | None = None
    reason: str | None = None
    outcome: int = 0

    @property
    def has_failed(self) -> bool:
        """Whether the refund came to nothing, and an operator has to see to it."""
        return self.state is State.REFUNDING and self.reason in (REFUND_FAILED, FAILED_TOO_OFTEN)

    @property
    def had_failed(self) -> bool:
        """Whether the refund was made after it had failed: of two outcomes, one was a failure."""
        return self.state is State.REFUNDED and self.outcome > 1

    def charged(self, outcome: Outcome) -> "Payment | None":
        """The charge's outcome is known. A rejection that came first turns it into a refund."""
        charge_id = outcome.charge_id if outcome.approved else None
        if self.state is State.PENDING:
            state = State.COMPLETED if outcome.approved else State.FAILED
            return replace(self, state=state, charge_id=charge_id, reason=outcome.reason)
        if self.state is State.REFUNDING and self.charge_id is None and self.reason is None:
            return replace(self, charge_id=charge_id, reason=outcome.reason)
        return None

    def rejected(self) -> "Payment | None":
        """There is no stock for the order, or it was cancelled: its money is to go back."""
        if self.state in (State.PENDING, State.COMPLETED):
            return replace(self, state=State.REFUNDING)
        return None

    def refund_failed(self, reason: str = REFUND_FAILED) -> "Payment | None":
        """The gateway took the refund, and it came to nothing: it is made again when an operator says so."""
        if self.state is State.REFUNDING:
            return replace(self, reason=reason, outcome=self.outcome + 1)
        return None

    def refund_sent_back(self, refund_id: str) -> "Payment | None":
        """The refund had succeeded, and has failed later."""
        if self.state is State.REFUNDED and self.refund_id == refund_id:
            number = self.outcome + 1
            return replace(self, state=State.REFUNDING, refund_id=None, reason=REFUND_FAILED, outcome=number)
        return None

    def refunded_again(self) -> "Payment":
        """The refund is made once more."""
        return replace(self, reason=None)

    def refunded(self, refund_id: str) -> "Payment | None":
        """The money is back where it came from (NOT_CHARGED: it never left)."""
        if self.state is State.REFUNDING:
            reason = None if self.has_failed else self.reason
            number = self.outcome + 1
            return replace(self, state=State.REFUNDED, refund_id=refund_id, reason=reason, outcome=number)
        return None


def failure_reason(code: str | None) -> str:
    """A gateway's code for a decline, spelt like the other reasons of events: `lost_card` is `lost-card`. Whatever a
    gateway gives in its place can be kept and published."""
    return one_line(code or "").strip()[:LONGEST_REASON].replace("_", "-") or "card-declined"


@dataclass(frozen=True)
class Charged:
    """A payment as far as refunds of it go: what was charged, and what is given back, or about to be."""

    state: State
    amount: int
    currency: str
    given: int


def refusal(charged: Charged | None, amount: int, currency: str) -> str | None:
    """Why so much cannot be given back; None if it can."""
    if charged is None or charged.state is not State.COMPLETED:
        return "not-charged"
    if charged.currency != currency:
        return "another-currency"
    return "more-than-remains" if amount > charged.amount - charged.given else None
