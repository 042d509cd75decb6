"""Loops over batches make room for one another."""

import pytest

from oms_chassis.pacing import LONGEST, SHORTEST, Pace, pause


@pytest.mark.parametrize(("took", "expected"), [(0.0, SHORTEST), (0.001, SHORTEST), (0.02, 0.08), (9.0, LONGEST)])
def test_the_slower_a_batch_was_the_longer_the_next_one_may_grow_within_limits(took: float, expected: float) -> None:
    assert pause(took) == pytest.approx(expected)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_loop_that_had_nothing_to_do_does_not_wait_after_its_first_batch() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.pause(clock.now) == 0.0
    clock.now += LONGEST
    assert pace.pause(clock.now) == 0.0


def test_a_batch_that_follows_on_another_is_waited_after_for_as_long_as_they_follow_on() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.pause(clock.now)
    clock.now += LONGEST / 2
    began, clock.now = clock.now, clock.now + 0.02
    assert pace.pause(began) == pytest.approx(0.08)
    clock.now += 0.08  # it has waited
    clock.now += LONGEST / 2  # and the next batch comes so much later
    assert pace.pause(clock.now) == SHORTEST
