"""The invariants, as far as they apply to the model."""

from itertools import pairwise

from oms_notifications.messages import Kind
from oms_order.domain import ARROWS, TERMINAL, Fact, Status, contradictory
from oms_order.refunds import RefundStatus
from oms_payment.domain import State
from saga.model import PRICE, Refund, World

# The customer of an order that was declined or rejected just when it was called off is notified of that instead.
_CALLED_OFF = {Kind.CANCELLED, Kind.DECLINED, Kind.OUT_OF_STOCK}
LAST_WORDS = {
    None: {Kind.CONFIRMED},
    "payment-declined": {Kind.DECLINED},
    "out-of-stock": {Kind.OUT_OF_STOCK},
    "customer": _CALLED_OFF,
    "timed-out": _CALLED_OFF,
}


def check_always(world: World) -> None:
    """Raise AssertionError if money or stock of a cancelled order is held now, or stock was created or lost."""
    for name, order in world.orders.items():
        assert _net(world, name) >= 0
        if order.status is Status.CANCELLED:
            assert _net(world, name) == 0
            assert name not in world.held
    assert world.on_hand == world.initial - sum(world.held.values()) >= 0


def check_at_rest(world: World) -> None:
    """Raise AssertionError if a rule for a world at rest is violated."""
    check_always(world)
    for name in world.orders:
        _check_order(world, name)
        _check_notices(world, name)


def _check_order(world: World, name: str) -> None:
    order = world.orders[name]
    assert order.status in TERMINAL
    assert set(pairwise(Status(step) for step in world.steps[name])) <= ARROWS
    assert not contradictory(order.facts)
    assert Fact.CANCELLED not in order.facts or order.reason == "customer"
    if order.status is Status.CONFIRMED:
        refunds = world.refunds_of(name)
        refunded = sum(one.amount for one in refunds if one.status is RefundStatus.SUCCEEDED)
        assert (_net(world, name), world.held.get(name, 0)) == (
            PRICE - refunded,
            not any(one.is_back for one in refunds),
        )
        for one in refunds:
            _check_refund(one)
        assert world.payments[name].state is State.COMPLETED
    else:
        assert world.payments[name].state in (State.FAILED, State.REFUNDED)


def _check_refund(one: Refund) -> None:
    """Assert that order and payment agree, and that stock and message are there if one outcome was a success."""
    assert (one.known, str(one.status)) == (one.outcomes, str(one.state))
    if one.status is RefundStatus.SUCCEEDED:
        assert (one.is_back, one.notices) == (one.is_return, 1)
    else:
        assert one.outcomes > 1, "it can be made: the order had so much left"


def _check_notices(world: World, name: str) -> None:
    sent, reason = world.sent[name], world.orders[name].reason
    assert 1 <= len(sent) <= 1 + bool(world.released[name])
    assert sent[-1] in LAST_WORDS[reason]
    assert sent[:-1] in ([], [Kind.CONFIRMED])


def _net(world: World, name: str) -> int:
    return PRICE * (bool(world.charges.get(name)) - world.refunds[name]) - world.given[name]
