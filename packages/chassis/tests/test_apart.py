"""What a periodic task has to do, of which some entries are odd, or all fail alike."""

from collections.abc import Sequence

import pytest
from sqlalchemy.exc import OperationalError

from oms_chassis import apart
from oms_chassis.apart import Apart


class Work:
    """Fails all of a call if one of its entries is odd; remembers each call, and what was done."""

    def __init__(self, *odd: int) -> None:
        self.odd, self.done = {*odd}, set[int]()
        self.calls: list[Sequence[int]] = []
        self.error: Exception = ValueError()

    def __call__(self, entries: Sequence[int]) -> None:
        self.calls.append(entries)
        if self.odd & {*entries}:
            raise self.error
        self.done |= {*entries}


def look(task: Apart[int], entries: Sequence[int]) -> None:
    with pytest.raises((ValueError, OperationalError)):
        task(entries)


def test_what_is_all_well_is_done_at_once() -> None:
    work = Work()
    task = Apart(work, int)
    task([1, 2, 3])
    task([])
    assert work.calls == [[1, 2, 3]]


def test_an_odd_one_keeps_no_other_waiting_and_is_reported() -> None:
    work = Work(2)
    look(Apart(work, int), [1, 2, 3])
    assert work.done == {1, 3}


def test_however_many_odd_ones_come_first_what_follows_is_reached() -> None:
    work = Work(*range(12))
    task = Apart(work, int)
    for _ in range(3):
        look(task, range(20))
    assert work.done == {*range(12, 20)}


def test_the_others_are_done_at_once_from_then_on() -> None:
    work = Work(0, 1)
    task = Apart(work, int)
    for _ in range(2):
        look(task, range(20))
    assert work.calls[-3:] == [[*range(2, 20)], [0], [1]]


def test_an_odd_one_that_is_repaired_is_done_however_many_others_are_not() -> None:
    work = Work(*range(12))
    task = Apart(work, int)
    for _ in range(3):
        look(task, range(12))
    work.odd -= {11}
    for _ in range(3):
        look(task, range(12))
    assert work.done == {11}
    assert len(work.calls) <= 6 * (1 + apart.MOST)
    work.odd.clear()
    task(range(12))
    task(range(12))
    assert work.calls[-1] == [*range(12)]


def test_what_all_fail_by_is_not_tried_on_each() -> None:
    work = Work(*range(500))
    task = Apart(work, int)
    for _ in range(200):
        look(task, range(500))
    assert len(work.calls) <= 200 * (1 + apart.MOST)


def test_while_the_database_is_away_one_call_is_made_and_none_is_held_to_be_odd() -> None:
    work = Work(*range(500))
    work.error = OperationalError("SELECT 1", {}, Exception())
    task = Apart(work, int)
    look(task, range(500))
    assert len(work.calls) == 1
    work.odd.clear()
    task(range(500))
    assert [len(entries) for entries in work.calls] == [500, 500]
