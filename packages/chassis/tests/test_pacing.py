"""Loops over batches leave time for one another."""

import pytest

from oms_chassis.pacing import BURST, LONGEST, SHORTEST, Pace, pause


@pytest.mark.parametrize(("took", "expected"), [(0.0, SHORTEST), (0.001, SHORTEST), (0.02, 0.08), (9.0, LONGEST)])
def test_the_slower_a_batch_was_the_longer_the_next_one_may_grow_within_limits(took: float, expected: float) -> None:
    assert pause(took) == pytest.approx(expected)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def work(pace: Pace, clock: Clock, took: float, every: float, seconds: float) -> set[float]:
    """Return the pauses of a loop that has a batch every `every` seconds, each of which takes `took`."""
    waits, end = set(), clock.now + seconds
    while clock.now < end:
        began, clock.now = clock.now, clock.now + took
        waits.add(pace.pause(began))
        clock.now = began + every
    return waits


def test_a_loop_that_has_little_to_do_never_waits() -> None:
    clock = Clock()
    assert work(Pace(clock), clock, took=0.004, every=0.1, seconds=100.0) == {0.0}


def test_a_loop_that_has_much_to_do_waits_after_each_batch() -> None:
    clock = Clock()
    pace = Pace(clock)
    work(pace, clock, took=0.02, every=0.1, seconds=10.0)
    assert list(work(pace, clock, took=0.02, every=0.1, seconds=0.1)) == [pytest.approx(0.08)]


def test_a_loop_does_not_wait_after_a_burst_and_after_a_rush_only_until_it_has_rested() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert work(pace, clock, took=0.01, every=0.01, seconds=BURST / 2) == {0.0}
    work(pace, clock, took=0.1, every=0.1, seconds=60.0)
    assert work(pace, clock, took=0.1, every=0.1, seconds=1.0) == {LONGEST}
    clock.now += 2 * LONGEST
    assert work(pace, clock, took=0.01, every=0.01, seconds=BURST / 2) == {0.0}
