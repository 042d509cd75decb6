"""Loops over batches make room for one another."""

import pytest

from oms_chassis.pacing import LONGEST, SHORTEST, pause


@pytest.mark.parametrize(("took", "expected"), [(0.0, SHORTEST), (0.001, SHORTEST), (0.02, 0.08), (9.0, LONGEST)])
def test_the_slower_a_batch_was_the_longer_the_next_one_may_grow_within_limits(took: float, expected: float) -> None:
    assert pause(took) == pytest.approx(expected)
