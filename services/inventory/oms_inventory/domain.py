"""Allocation: which orders get stock, decided for a whole batch. Pure: no database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from oms_contracts.parts import Line, Shortage


@dataclass(frozen=True)
class Demand:
    """The quantities that an order needs, by item."""

    order_id: str
    quantities: Mapping[str, int]


@dataclass(frozen=True)
class Decision:
    """A demand is met entirely, or not at all: then `shortages` says why."""

    demand: Demand
    shortages: tuple[Shortage, ...] = ()

    @property
    def is_allocated(self) -> bool:
        """Whether the order gets its stock."""
        return not self.shortages


def demand(order_id: str, lines: Iterable[Line]) -> Demand:
    """An order's lines, by item."""
    quantities: dict[str, int] = {}
    for line in lines:
        quantities[line.item_id] = quantities.get(line.item_id, 0) + line.quantity
    return Demand(order_id, quantities)


def decide(on_hand: Mapping[str, int], demands: Sequence[Demand]) -> list[Decision]:
    """First come, first served. An item that is not in `on_hand` is out of stock."""
    left, decisions = dict(on_hand), []
    for one in demands:
        decision = Decision(one, shortages(left, one))
        decisions.append(decision)
        if decision.is_allocated:
            for item, quantity in one.quantities.items():
                left[item] -= quantity
    return decisions


def shortages(left: Mapping[str, int], one: Demand) -> tuple[Shortage, ...]:
    """The items of which there is not enough for a demand."""
    return tuple(
        Shortage(item_id=item, requested=quantity, available=left.get(item, 0))
        for item, quantity in one.quantities.items()
        if quantity > left.get(item, 0)
    )


def allocated(decisions: Iterable[Decision]) -> dict[str, int]:
    """The quantities that a batch of decisions takes, by item."""
    return summed(one for decision in decisions if decision.is_allocated for one in decision.demand.quantities.items())


def summed(quantities: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The total quantities, by item."""
    sums: dict[str, int] = {}
    for item, quantity in quantities:
        sums[item] = sums.get(item, 0) + quantity
    return sums
