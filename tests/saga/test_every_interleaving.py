"""One order, and every sequence of the things that can happen to it: all possible situations, not a sample."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from oms_order import domain
from oms_order.domain import Fact, IllegalTransition
from oms_payment.domain import RefundState
from saga.model import PRICE, World
from saga.rules import check_always, check_at_rest

ORDER = "a"
SENT_BACK = 2  # outcomes of a refund that was made and then returned: it is repeated once, but not more often
Move = Callable[[World], object]
Situation = tuple[object, ...]


def deliver(number: int, world: World) -> None:
    """Deliver the message with this index."""
    world.deliver(world.network[number], again=False)


def moves(world: World, window: float) -> Iterator[Move]:
    """Yield what can happen next. A duplicate delivery is handled by the inbox, and not a situation of its own."""
    for number in range(len(world.network)):
        yield partial(deliver, number)
    for is_begun in world.charge_jobs.values():
        yield lambda then: then.charge(ORDER, dies=False)
        if not is_begun:
            yield lambda then: then.charge(ORDER, dies=True)
    if world.refund_jobs:
        yield lambda then: then.refund(ORDER)
    yield from refund_moves(world)
    if not world.orders[ORDER].facts & {Fact.CANCELLED, Fact.TIMED_OUT}:
        yield lambda then: then.cancel(ORDER, window=window)
        yield lambda then: then.time_out(ORDER)


def refund_moves(world: World) -> Iterator[Move]:
    """Yield what can happen next to a requested refund."""
    if not world.requested:
        yield lambda then: then.ask_refund(ORDER, PRICE)
    for refund in world.requested_jobs:
        yield partial(World.make_refund, name=refund)
    for name, one in world.requested.items():
        if one.state is RefundState.SUCCEEDED and one.outcomes == 1:
            yield partial(World.send_back, name=name)
        if one.state is RefundState.FAILED and one.outcomes == SENT_BACK:
            yield partial(World.retry_refund, name=name)


def situation(world: World) -> Situation:
    """Return everything in a world that affects its future."""
    network = sorted((one.topic, one.reader, one.refund, one.outcome) for one in world.network)
    kept = {name: value for name, value in vars(world).items() if name not in {"network", "inboxes", "events", "steps"}}
    return (repr(network), *(repr(value) for value in kept.values()))


def explore(stock: int, *, is_declined: bool, window: float) -> int:
    """Visit all situations, and return their number. Raises AssertionError in a forbidden one."""
    first = World(stock)
    first.place(ORDER, is_declined=is_declined)
    seen, ahead = {situation(first)}, [first]
    while ahead:
        world = ahead.pop()
        check_always(world)
        if world.is_at_rest():
            check_at_rest(world)
        for move in moves(world, window):
            move(then := deepcopy(world))
            if (found := situation(then)) not in seen:
                seen.add(found)
                ahead.append(then)
    return len(seen)


@pytest.mark.parametrize("window", [0.0, 1.0])
@pytest.mark.parametrize("is_declined", [False, True])
@pytest.mark.parametrize("stock", [0, 1])
def test_no_sequence_of_events_violates_a_rule(stock: int, is_declined: bool, window: float) -> None:
    assert explore(stock, is_declined=is_declined, window=window) > 100


def only_the_money() -> tuple[domain.Rule, ...]:
    """Return the rules, changed so that an order is CANCELLED as soon as its money is back."""
    *others, last = domain.RULES
    return (*others, replace(last, proof=last.proof[:1]))


def only_the_stock() -> tuple[domain.Rule, ...]:
    """Return the rules, changed so that an order is CANCELLED as soon as its stock is free."""
    *others, last = domain.RULES
    return (*others, replace(last, proof=last.proof[1:]))


MUTANTS: dict[str, tuple[str, Any]] = {
    "cancelled before the stock is free": ("oms_order.domain.RULES", only_the_money()),
    "cancelled before the money is back": ("oms_order.domain.RULES", only_the_stock()),
    "money is kept": ("oms_payment.domain.Payment.rejected", lambda _: None),
    "a refund that nobody asked for": ("oms_payment.domain.Payment.charged", lambda *_: None),
    "an order that was cancelled first is charged": ("saga.model.World.is_new", lambda *_: True),
    "a payment that was cancelled first gets stock": ("saga.model.World.is_undecided", lambda *_: True),
    "a cancelled order that was confirmed is not notified": ("saga.model.FOLLOWS", {}),
    "an order of which something is refunded is cancelled": ("saga.model.World.window", lambda *_: 1.0),
    "the outcome of a refund is lost": ("oms_order.refunds.settled", lambda *_: False),
    "what has succeeded stays so": (
        "oms_order.refunds.settled",
        lambda before, after, *_: before == "PENDING" or (before, after) == ("FAILED", "SUCCEEDED"),
    ),
    "an earlier outcome of a refund overwrites a later one": ("oms_order.refunds.settled", lambda *_: True),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_found(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*MUTANTS[mutant])
    with pytest.raises((AssertionError, IllegalTransition, KeyError)):
        explore(1, is_declined=False, window=1.0)
