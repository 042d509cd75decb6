"""A periodic task processes its entries although some of them are poison, and stops early in an outage."""

from collections.abc import Sequence

import pytest
from sqlalchemy.exc import OperationalError

from oms_chassis import poison
from oms_chassis.poison import PoisonIsolator


class Work:
    """Fails a whole call if one of its entries is poison; records the calls, and the processed entries."""

    def __init__(self, *poison: int) -> None:
        self.poison, self.done = {*poison}, set[int]()
        self.calls: list[Sequence[int]] = []
        self.error: Exception = ValueError()

    def __call__(self, entries: Sequence[int]) -> None:
        self.calls.append(entries)
        if self.poison & {*entries}:
            raise self.error
        self.done |= {*entries}


def expect_failure(task: PoisonIsolator[int], entries: Sequence[int]) -> None:
    with pytest.raises((ValueError, OperationalError)):
        task(entries)


def test_entries_are_processed_together() -> None:
    work = Work()
    task = PoisonIsolator(work, int)
    task([1, 2, 3])
    task([])
    assert work.calls == [[1, 2, 3]]


def test_a_poison_entry_delays_no_other_and_its_error_is_raised() -> None:
    work = Work(2)
    expect_failure(PoisonIsolator(work, int), [1, 2, 3])
    assert work.done == {1, 3}


def test_entries_behind_many_poison_ones_are_reached() -> None:
    work = Work(*range(12))
    task = PoisonIsolator(work, int)
    for _ in range(3):
        expect_failure(task, range(20))
    assert work.done == {*range(12, 20)}


def test_once_poison_is_known_the_others_are_processed_together_again() -> None:
    work = Work(0, 1)
    task = PoisonIsolator(work, int)
    for _ in range(2):
        expect_failure(task, range(20))
    assert work.calls[-3:] == [[*range(2, 20)], [0], [1]]


def test_a_poison_entry_that_was_repaired_is_processed_although_many_others_were_not() -> None:
    work = Work(*range(12))
    task = PoisonIsolator(work, int)
    for _ in range(3):
        expect_failure(task, range(12))
    work.poison -= {11}
    for _ in range(3):
        expect_failure(task, range(12))
    assert work.done == {11}
    assert len(work.calls) <= 6 * (1 + poison.MAX_FAILURES)
    work.poison.clear()
    task(range(12))
    task(range(12))
    assert work.calls[-1] == [*range(12)]


def test_when_every_entry_fails_only_a_few_are_tried_alone() -> None:
    work = Work(*range(500))
    task = PoisonIsolator(work, int)
    for _ in range(200):
        expect_failure(task, range(500))
    assert len(work.calls) <= 200 * (1 + poison.MAX_FAILURES)


def test_while_the_database_is_unavailable_one_call_is_made_and_no_entry_is_blamed() -> None:
    work = Work(*range(500))
    work.error = OperationalError("SELECT 1", {}, Exception())
    task = PoisonIsolator(work, int)
    expect_failure(task, range(500))
    assert len(work.calls) == 1
    work.poison.clear()
    task(range(500))
    assert [len(entries) for entries in work.calls] == [500, 500]
