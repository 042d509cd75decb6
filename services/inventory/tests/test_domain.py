"""Who gets the stock of a batch."""

from hypothesis import given
from hypothesis import strategies as st

from oms_contracts.parts import Line, Shortage
from oms_inventory.domain import Demand, allocated, decide, demand

ITEMS = st.sampled_from(["a", "b", "c", "unknown"])
DEMANDS = st.lists(st.dictionaries(ITEMS, st.integers(1, 5), min_size=1), max_size=12)
STOCK = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(0, 12))


def orders(*quantities: dict[str, int]) -> list[Demand]:
    return [Demand(f"o{number}", one) for number, one in enumerate(quantities)]


def who(on_hand: dict[str, int], *quantities: dict[str, int]) -> list[bool]:
    return [decision.is_allocated for decision in decide(on_hand, orders(*quantities))]


def test_the_last_piece_goes_to_the_first_who_asked() -> None:
    assert who({"a": 1}, {"a": 1}, {"a": 1}) == [True, False]


def test_an_order_may_take_exactly_what_is_left() -> None:
    assert who({"a": 3}, {"a": 3}) == [True]


def test_what_a_rejected_order_could_not_have_is_left_to_the_next() -> None:
    assert who({"a": 2, "b": 0}, {"a": 2, "b": 1}, {"a": 2}) == [False, True]


def test_a_rejection_names_every_item_that_is_short_and_what_was_left_of_it() -> None:
    _, rejected = decide({"a": 5, "b": 1, "c": 9}, orders({"a": 4}, {"a": 2, "b": 3, "c": 9}))
    assert rejected.shortages == (
        Shortage(item_id="a", requested=2, available=1),
        Shortage(item_id="b", requested=3, available=1),
    )


def test_an_unknown_item_has_nothing() -> None:
    (rejected,) = decide({}, orders({"unknown": 1}))
    assert rejected.shortages == (Shortage(item_id="unknown", requested=1, available=0),)


def test_lines_of_the_same_item_are_one_demand() -> None:
    lines = [Line(item_id=item, name="n", quantity=2, unit_price=1) for item in ("a", "b", "a")]
    assert demand("o", lines) == Demand("o", {"a": 4, "b": 2})


def test_an_empty_batch_takes_nothing() -> None:
    assert decide({"a": 1}, []) == []
    assert allocated([]) == {}


def test_the_stock_that_was_handed_in_is_not_changed() -> None:
    on_hand = {"a": 1}
    decide(on_hand, orders({"a": 1}))
    assert on_hand == {"a": 1}


@given(on_hand=STOCK, quantities=DEMANDS)
def test_each_order_gets_all_if_all_was_there_at_its_turn_and_otherwise_nothing(
    on_hand: dict[str, int], quantities: list[dict[str, int]]
) -> None:
    left = dict(on_hand)
    for decision in decide(on_hand, orders(*quantities)):
        asked = decision.demand.quantities
        assert decision.is_allocated == all(left.get(item, 0) >= n for item, n in asked.items())
        if decision.is_allocated:
            left.update({item: left[item] - n for item, n in asked.items()})
    assert all(n >= 0 for n in left.values())


@given(on_hand=STOCK, quantities=DEMANDS)
def test_a_batch_takes_what_its_orders_take(on_hand: dict[str, int], quantities: list[dict[str, int]]) -> None:
    decisions = decide(on_hand, orders(*quantities))
    sums = allocated(decisions)
    for item in {*on_hand, *sums}:
        each = [decision.demand.quantities.get(item, 0) for decision in decisions if decision.is_allocated]
        assert sums.get(item, 0) == sum(each) <= on_hand.get(item, 0)
