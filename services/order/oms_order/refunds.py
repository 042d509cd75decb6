"""What of a confirmed order may be refunded. Pure, as domain.py is: no database, no broker, no clock.

    PENDING ──> SUCCEEDED
       │          │ ^   the bank sent it back; an operator saw to it
       └─────────>V │
                FAILED

An order stays CONFIRMED whatever is refunded of it. Money counts as given from the request on, until the refund has
failed; lines count as returned whatever becomes of the money, since they may be in the stock again.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from oms_order.domain import Order, Status


class RefundStatus(StrEnum):
    """How far a refund has come."""

    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class NotRefundable(Exception):
    """Only a CONFIRMED order is refunded."""

    def __init__(self, order: Order) -> None:
        super().__init__(order.status)
        self.order = order


class MoreThanRemains(Exception):
    """Less than that is left to be refunded."""

    def __init__(self, remaining: int) -> None:
        super().__init__(remaining)
        self.remaining = remaining


class WrongLines(Exception):
    """Lines that the order does not have so: a message for each field's path."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__(*errors)
        self.errors = errors


@dataclass(frozen=True)
class Bought:
    """A line of an order."""

    item_id: str
    name: str
    quantity: int
    unit_price: int


@dataclass(frozen=True)
class Given:
    """An earlier refund of the order, with how much of which item it was for."""

    amount: int
    status: RefundStatus | str
    lines: Mapping[str, int]


@dataclass(frozen=True)
class Purchase:
    """An order as far as its refunds go."""

    order: Order
    total: int
    bought: Sequence[Bought]
    refunds: Sequence[Given]

    @property
    def remaining(self) -> int:
        """What is left to be refunded."""
        return self.total - sum(one.amount for one in self.refunds if one.status is not RefundStatus.FAILED)

    def check(self) -> None:
        """Raise NotRefundable if nothing of the order is refunded."""
        if self.order.status is not Status.CONFIRMED:
            raise NotRefundable(self.order)

    def limit(self, amount: int) -> int:
        """The amount. Raises MoreThanRemains."""
        if amount > self.remaining:
            raise MoreThanRemains(self.remaining)
        return amount

    def price(self, lines: Sequence[tuple[str, int]]) -> int:
        """What lines (an item and how much of it) cost. Raises WrongLines if the order has not so much of one left."""
        bought = {line.item_id: line for line in self.bought}
        returned = _summed(one.lines for one in self.refunds)
        errors: dict[str, str] = {}
        for number, (item, quantity) in enumerate(lines):
            if item not in bought:
                errors[f"lines[{number}].id"] = "is not an item of this order"
            elif item in {other for other, _ in lines[:number]}:
                errors[f"lines[{number}].id"] = "comes twice"
            elif quantity > (left := bought[item].quantity - returned[item]):
                errors[f"lines[{number}].quantity"] = f"must be at most {left}, which is not refunded yet"
        if errors:
            raise WrongLines(errors)
        return sum(bought[item].unit_price * quantity for item, quantity in lines)


def settled(before: RefundStatus | str, after: RefundStatus, known: int = 0, number: int | None = None) -> bool:
    """Whether a refund's outcome is news: of those that payment has numbered, one that is later than the one that is
    `known`. One without a number, as from the release before, is older than all that have one; until then, what has
    succeeded stays so. What a later release has made of it stays in any case."""
    if number is not None:
        return number > known and before in {*RefundStatus}
    if known:
        return False
    return before == RefundStatus.PENDING or (before, after) == (RefundStatus.FAILED, RefundStatus.SUCCEEDED)


def _summed(lines: Iterable[Mapping[str, int]]) -> Counter[str]:
    returned: Counter[str] = Counter()
    for one in lines:
        returned.update(one)
    return returned
