"""What an order becomes: the same for the same facts, in whatever order and however often they are received."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_order.domain import (
    ARROWS,
    TERMINAL,
    Fact,
    IllegalTransition,
    Order,
    Reason,
    Status,
    TooLate,
    cancel,
    contradictory,
    time_out,
)

ORDER = Order("one")
CANCELLED_STEPS = [Status.PAID, Status.CANCELLING, Status.CANCELLED]
# Every history that correct services can produce, with the way that the order takes.
HISTORIES = {
    (Fact.PAID,): [Status.PAID],
    (Fact.DECLINED,): [Status.CANCELLING, Status.CANCELLED],
    (Fact.NOT_CHARGED,): [Status.CANCELLING, Status.CANCELLED],
    (Fact.PAID, Fact.STOCK_RESERVED): [Status.PAID, Status.CONFIRMED],
    (Fact.PAID, Fact.STOCK_REJECTED): [Status.PAID, Status.CANCELLING],
    (Fact.PAID, Fact.STOCK_REJECTED, Fact.REFUNDED): CANCELLED_STEPS,
}

# What is known about an order that its customer cancelled at some moment.
CANCELLED_HISTORIES = [
    (Fact.REFUNDED, Fact.STOCK_RELEASED),
    (Fact.DECLINED, Fact.STOCK_RELEASED),
    (Fact.NOT_CHARGED, Fact.STOCK_RELEASED),
    (Fact.PAID, Fact.REFUNDED, Fact.STOCK_RELEASED),
    (Fact.PAID, Fact.STOCK_RESERVED, Fact.STOCK_RELEASED, Fact.REFUNDED),
    (Fact.PAID, Fact.STOCK_REJECTED, Fact.STOCK_RELEASED, Fact.REFUNDED),
]
CONSUMED = sorted(set(Fact) - {Fact.CANCELLED, Fact.TIMED_OUT})  # those that others publish


def walk(facts: list[Fact]) -> tuple[Order, list[Status]]:
    order, statuses = ORDER, []
    for fact in facts:
        order, steps = order.apply([fact])
        statuses += [step.status for step in steps]
    return order, statuses


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[tuple[Fact, ...], list[Fact]]:
    history = draw(st.sampled_from(list(HISTORIES)))
    repeated = draw(st.lists(st.sampled_from(history), max_size=5))
    return history, draw(st.permutations([*history, *repeated]))


@given(deliveries())
def test_any_order_and_repetition_of_the_facts_takes_the_same_way(
    delivery: tuple[tuple[Fact, ...], list[Fact]],
) -> None:
    history, delivered = delivery
    order, statuses = walk(delivered)
    assert statuses == HISTORIES[history]
    assert order.status is HISTORIES[history][-1]
    assert not contradictory(order.facts)


@given(st.lists(st.sampled_from(Fact)))
def test_no_facts_whatever_lead_off_the_diagram(facts: list[Fact]) -> None:
    _, statuses = walk(facts)
    assert set(itertools.pairwise([Status.PENDING, *statuses])) <= ARROWS


@given(st.lists(st.sampled_from(Fact)), st.lists(st.sampled_from(CONSUMED)))
def test_a_terminal_order_stays_what_it_is(first: list[Fact], then: list[Fact]) -> None:
    order, _ = walk(first)
    if order.status in TERMINAL:
        later, steps = order.apply(then)
        assert (later.status, later.reason, later.version, steps) == (order.status, order.reason, order.version, [])


@given(deliveries())
def test_facts_applied_together_do_what_they_do_one_by_one(delivery: tuple[tuple[Fact, ...], list[Fact]]) -> None:
    together, steps = ORDER.apply(delivery[1])
    one_by_one, statuses = walk(delivery[1])
    assert together == one_by_one
    assert [step.status for step in steps] == statuses


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ([Fact.DECLINED], Reason.PAYMENT_DECLINED),
        ([Fact.NOT_CHARGED], Reason.PAYMENT_UNAVAILABLE),
        ([Fact.STOCK_REJECTED, Fact.REFUNDED], Reason.OUT_OF_STOCK),
    ],
)
def test_a_cancelled_order_says_why(facts: list[Fact], reason: Reason) -> None:
    order, steps = ORDER.apply(facts)
    assert order.reason is reason
    assert {step.reason for step in steps if step.status.startswith("CANCEL")} == {reason}


def test_positions_count_on_without_a_gap() -> None:
    order, steps = ORDER.apply([Fact.STOCK_RESERVED])
    assert [step.position for step in steps] == [2, 3]
    assert order.version == 3


@pytest.mark.parametrize("arrow", sorted(set(itertools.product(Status, Status)) - ARROWS))
def test_a_transition_that_the_diagram_lacks_is_refused(arrow: tuple[Status, Status]) -> None:
    with pytest.raises(IllegalTransition):
        Order("one", status=arrow[0]).transition_to(arrow[1])


@pytest.mark.parametrize(
    "facts",
    [
        {Fact.DECLINED, Fact.PAID},
        {Fact.NOT_CHARGED, Fact.STOCK_RESERVED},
        {Fact.STOCK_RESERVED, Fact.STOCK_REJECTED},
        {Fact.STOCK_RESERVED, Fact.REFUNDED},
        {Fact.PAID, Fact.STOCK_RELEASED},
        {Fact.CANCELLED, Fact.DECLINED, Fact.REFUNDED},
    ],
)
def test_facts_that_cannot_both_be_true_are_found_out(facts: set[Fact]) -> None:
    assert contradictory(frozenset(facts))


@given(st.sampled_from(CANCELLED_HISTORIES).flatmap(st.permutations), st.data())
def test_whenever_an_order_is_cancelled_in_time_it_ends_so_and_only_when_nothing_of_it_is_held(
    facts: list[Fact], data: st.DataObject
) -> None:
    moment = data.draw(st.integers(0, len(facts)))
    order, _ = walk(facts[:moment])
    try:
        order, _ = cancel(order, 0.0, 0.0)
    except TooLate:
        assert order.status not in (Status.PENDING, Status.PAID)
        return
    for fact in facts[moment:]:
        order, steps = order.apply([fact])
        if steps:
            assert steps[0].status is Status.CANCELLED
            assert {Fact.STOCK_RELEASED, Fact.STOCK_REJECTED, Fact.DECLINED, Fact.NOT_CHARGED} & order.facts
            assert {Fact.REFUNDED, Fact.DECLINED, Fact.NOT_CHARGED} & order.facts
    assert (order.status, order.reason) == (Status.CANCELLED, Reason.CUSTOMER)
    assert not contradictory(order.facts)


def test_cancelling_again_changes_nothing() -> None:
    order, steps = cancel(ORDER, 0.0, 0.0)
    assert [step.status for step in steps] == [Status.CANCELLING]
    assert cancel(order, 0.0, 0.0) == (order, [])


@pytest.mark.parametrize(
    ("confirmed_for", "window", "is_in_time"),
    [(0.0, 0.0, False), (0.0, 5.0, True), (4.9, 5.0, True), (5.0, 5.0, False)],
)
def test_a_confirmed_order_is_cancelled_within_its_window(
    confirmed_for: float, window: float, is_in_time: bool
) -> None:
    order, _ = walk([Fact.STOCK_RESERVED])
    if is_in_time:
        assert cancel(order, confirmed_for, window)[0].status is Status.CANCELLING
    else:
        with pytest.raises(TooLate):
            cancel(order, confirmed_for, window)


@given(st.lists(st.sampled_from(CONSUMED)))
def test_only_an_order_that_waits_for_its_payment_or_its_stock_is_timed_out(facts: list[Fact]) -> None:
    before, _ = walk(facts)
    order, steps = time_out(before)
    if before.status in (Status.PENDING, Status.PAID):
        assert (steps[0].status, order.reason) == (Status.CANCELLING, Reason.TIMED_OUT)
    else:
        assert (order, steps) == (before, [])
