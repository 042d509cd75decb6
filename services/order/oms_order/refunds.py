"""The rules for refunds of a confirmed order. Pure, like domain.py: no database, no broker, no clock.

    PENDING ──> SUCCEEDED
       │          │ ^   the bank sent the money back; an operator retried it
       └─────────>V │
                FAILED

An order stays CONFIRMED whatever is refunded of it. A refund's amount counts from the request on, unless the refund
fails; its lines count as returned whatever the outcome, since they may already be back in stock.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from oms_order.domain import Order, Status


class RefundStatus(StrEnum):
    """The status of a refund."""

    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class NotRefundable(Exception):
    """Only a CONFIRMED order can be refunded."""

    def __init__(self, order: Order) -> None:
        super().__init__(order.status)
        self.order = order


class MoreThanRemains(Exception):
    """The amount exceeds what remains to be refunded."""

    def __init__(self, remaining: int) -> None:
        super().__init__(remaining)
        self.remaining = remaining


class WrongLines(Exception):
    """The order does not have these lines in these quantities. `errors` has a message by the path of each field."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__(*errors)
        self.errors = errors


@dataclass(frozen=True)
class OrderedLine:
    """A line of an order."""

    item_id: str
    name: str
    quantity: int
    unit_price: int


@dataclass(frozen=True)
class EarlierRefund:
    """An earlier refund of the order; `lines` has quantities by item."""

    amount: int
    status: RefundStatus | str
    lines: Mapping[str, int]


@dataclass(frozen=True)
class Purchase:
    """What was bought with an order, and refunded of it so far."""

    order: Order
    total: int
    bought: Sequence[OrderedLine]
    refunds: Sequence[EarlierRefund]

    @property
    def remaining(self) -> int:
        """The amount that can still be refunded."""
        return self.total - sum(one.amount for one in self.refunds if one.status is not RefundStatus.FAILED)

    def check(self) -> None:
        """Raise NotRefundable unless the order's status allows refunds."""
        if self.order.status is not Status.CONFIRMED:
            raise NotRefundable(self.order)

    def limit(self, amount: int) -> int:
        """The amount itself. Raises MoreThanRemains."""
        if amount > self.remaining:
            raise MoreThanRemains(self.remaining)
        return amount

    def price(self, lines: Sequence[tuple[str, int]]) -> int:
        """What these lines (item and quantity) cost. Raises WrongLines if the order does not have them left."""
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
    """Whether an outcome changes a refund. Payment numbers the outcomes of a refund, and only one with a higher number
    than the `known` one counts. An outcome without a number, from the previous release, counts as older than any with
    one; without numbers, a success is final. A status of a later release is never overwritten."""
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
