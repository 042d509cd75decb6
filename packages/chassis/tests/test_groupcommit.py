"""Group commit: many callers, few transactions."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from oms_chassis import groupcommit
from oms_chassis.groupcommit import BATCH, GroupCommit


class Writer:
    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def write(self, items: list[int]) -> Sequence[int | Exception]:
        self.batches.append(items)
        if 13 in items and len(items) == 1:
            raise ConnectionError
        return [LookupError() if item < 0 else item * 2 for item in items]


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def group(writer: Writer) -> Iterator[GroupCommit[int, int]]:
    group = GroupCommit("test", writer.write)
    group.start()
    yield group
    group.stop()


def submit(group: GroupCommit[int, int], *items: int) -> list[int | BaseException]:
    async def all_of_them() -> list[int | BaseException]:
        return await asyncio.gather(*(group.submit(item) for item in items), return_exceptions=True)

    return asyncio.run(all_of_them())


def test_each_caller_gets_its_own_answer_from_few_batches(group: GroupCommit[int, int], writer: Writer) -> None:
    assert submit(group, *range(1000)) == [item * 2 for item in range(1000)]
    assert len(writer.batches) < 100
    assert max(map(len, writer.batches)) <= BATCH


def test_one_callers_error_is_not_the_others(group: GroupCommit[int, int]) -> None:
    first, second = submit(group, 1, -1)
    assert first == 2
    assert isinstance(second, LookupError)


def test_a_write_that_fails_is_raised_to_its_callers_and_the_next_goes_on(group: GroupCommit[int, int]) -> None:
    (error,) = submit(group, 13)
    assert isinstance(error, ConnectionError)
    assert submit(group, 1) == [2]


def test_stopping_writes_what_was_submitted(writer: Writer) -> None:
    group = GroupCommit("test", writer.write)

    async def run() -> int:
        waiting = asyncio.ensure_future(group.submit(4))
        await asyncio.sleep(0)
        group.start()
        await asyncio.to_thread(group.stop)
        return await waiting

    assert asyncio.run(run()) == 8


def test_a_caller_that_went_away_is_no_error(group: GroupCommit[int, int], writer: Writer) -> None:
    async def run() -> int:
        leaving = asyncio.ensure_future(group.submit(1))
        await asyncio.sleep(0)
        leaving.cancel()
        return await group.submit(2)

    assert asyncio.run(run()) == 4


def test_a_request_that_comes_alone_waits_for_nobody(
    group: GroupCommit[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groupcommit, "GATHER", 30.0)
    for number in range(3):
        assert submit(group, number) == [number * 2]
