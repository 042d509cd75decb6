"""What several threads write at the same time is written together, and each learns what became of its own."""

import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import pytest
from support.chassis import eventually

from oms_simulators.payment.groupcommit import GroupCommit

Group = Mapping[str, int]


class Books:
    """Where entries are written, once the gate is open: the first one of a key stays."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.groups: list[list[str]] = []
        self.kept: dict[str, int] = {}

    def write(self, group: Group) -> Group:
        self.groups.append(sorted(group))
        assert self.gate.wait(20)
        if "away" in group:
            raise ConnectionError
        if "odd" in group:
            raise ValueError
        self.kept = {**group, **self.kept}
        return {key: self.kept[key] for key in group}


@pytest.fixture
def books() -> Books:
    return Books()


def submitted(books: Books, *entries: tuple[str, int]) -> list[Future[int | None]]:
    """What becomes of entries that wait for one that is being written."""
    commit: GroupCommit[str, int] = GroupCommit(books.write, _is_away)
    with ThreadPoolExecutor(len(entries) + 1) as pool:
        first = pool.submit(commit.submit, "first", 1)
        eventually(lambda: books.groups)
        others = []
        for number, entry in enumerate(entries, start=1):
            others.append(pool.submit(commit.submit, *entry))
            eventually(partial(_have_come, commit, number))
        books.gate.set()
        assert first.result(20) == 1
    return others


def _is_away(error: Exception) -> bool:
    return isinstance(error, ConnectionError)


def _have_come(commit: GroupCommit[str, int], number: int) -> bool:
    return len(commit._waiting) == number


def test_what_waits_for_a_write_is_written_together(books: Books) -> None:
    entries = [(f"k{number}", number) for number in range(9)]
    assert [one.result() for one in submitted(books, *entries)] == list(range(9))
    assert books.groups == [["first"], [key for key, _ in entries]]


def test_of_two_entries_with_one_key_the_first_is_written_and_both_get_it(books: Books) -> None:
    assert [one.result() for one in submitted(books, ("k", 5), ("k", 7))] == [5, 5]


def test_an_odd_entry_fails_alone(books: Books) -> None:
    one, odd, other = submitted(books, ("k1", 1), ("odd", 2), ("k3", 3))
    assert (one.result(), other.result()) == (1, 3)
    assert isinstance(odd.exception(), ValueError)


def test_if_nothing_can_be_written_all_callers_get_the_error_and_no_entry_is_tried_alone(books: Books) -> None:
    for one in submitted(books, ("k1", 1), ("away", 2), ("k3", 3)):
        assert isinstance(one.exception(), ConnectionError)
    assert len(books.groups) == 2
