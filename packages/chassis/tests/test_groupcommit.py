"""Group commit: many callers, few transactions."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from support.chassis import eventually

from oms_chassis.http import groupcommit
from oms_chassis.http.deadlines import Deadline
from oms_chassis.http.groupcommit import BATCH, Full, GroupCommit, NotWritten, Undecided


class Writer:
    """Doubles numbers. A write blocks while `open` is not set."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = threading.Event()
        self.open.set()

    def write(self, items: list[int]) -> Sequence[int | Exception]:
        self.batches.append(items)
        self.open.wait(30)
        if 13 in items and len(items) == 1:
            raise ConnectionError
        return [LookupError() if item < 0 else item * 2 for item in items]


@pytest.fixture
def writer() -> Writer:
    return Writer()


@contextmanager
def running(group: GroupCommit[int, int]) -> Iterator[GroupCommit[int, int]]:
    thread = threading.Thread(target=group.run)
    thread.start()
    try:
        yield group
    finally:
        group.stop()
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def group(writer: Writer) -> Iterator[GroupCommit[int, int]]:
    with running(GroupCommit("test", writer.write)) as group:
        yield group


def submit(group: GroupCommit[int, int], *items: int) -> list[int | BaseException]:
    async def all_of_them() -> list[int | BaseException]:
        return await asyncio.gather(*(group.submit(item) for item in items), return_exceptions=True)

    return asyncio.run(all_of_them())


def test_each_caller_gets_its_own_answer_from_few_batches(group: GroupCommit[int, int], writer: Writer) -> None:
    assert submit(group, *range(1000)) == [item * 2 for item in range(1000)]
    assert len(writer.batches) < 100
    assert max(map(len, writer.batches)) <= BATCH


def test_one_callers_error_does_not_affect_the_others(group: GroupCommit[int, int]) -> None:
    first, second = submit(group, 1, -1)
    assert first == 2
    assert isinstance(second, LookupError)


def test_a_failed_write_is_raised_to_its_callers_and_the_next_write_goes_on(group: GroupCommit[int, int]) -> None:
    (error,) = submit(group, 13)
    assert isinstance(error, ConnectionError)
    assert submit(group, 1) == [2]


def test_stopping_writes_submitted_items_and_accepts_no_more(writer: Writer) -> None:
    group = GroupCommit("test", writer.write)

    async def run() -> int:
        waiting = asyncio.ensure_future(group.submit(4))
        await asyncio.sleep(0)
        group.stop()
        await asyncio.to_thread(group.run)
        return await waiting

    assert asyncio.run(run()) == 8
    (late,) = submit(group, 5)
    assert isinstance(late, NotWritten)


def test_a_caller_that_disconnected_is_not_an_error(group: GroupCommit[int, int], writer: Writer) -> None:
    async def run() -> int:
        leaving = asyncio.ensure_future(group.submit(1))
        await asyncio.sleep(0)
        leaving.cancel()
        return await group.submit(2)

    assert asyncio.run(run()) == 4


def test_items_that_waited_too_long_or_were_abandoned_are_never_written(writer: Writer) -> None:
    writer.open.clear()

    async def run(group: GroupCommit[int, int]) -> list[int | BaseException]:
        first = asyncio.ensure_future(group.submit(1))
        await asyncio.to_thread(eventually, lambda: writer.batches)
        leaving, late = asyncio.ensure_future(group.submit(2)), asyncio.ensure_future(group.submit(3))
        await asyncio.sleep(0)
        leaving.cancel()
        (expired,) = await asyncio.gather(late, return_exceptions=True)
        writer.open.set()
        return [await first, expired, await group.submit(4)]

    with running(GroupCommit("test", writer.write, seconds=0.3)) as group:
        first, expired, last = asyncio.run(run(group))
    assert (first, last) == (2, 8)  # the first was being written when its time was over: it is answered
    assert isinstance(expired, NotWritten)
    assert writer.batches == [[1], [4]]


def test_no_more_items_wait_than_there_is_room_for(writer: Writer) -> None:
    writer.open.clear()

    async def run(group: GroupCommit[int, int]) -> list[int | BaseException]:
        first = asyncio.ensure_future(group.submit(1))
        await asyncio.to_thread(eventually, lambda: writer.batches)
        rest = [asyncio.ensure_future(group.submit(item)) for item in (2, 3, 4)]
        await asyncio.sleep(0)
        writer.open.set()
        return await asyncio.gather(first, *rest, return_exceptions=True)

    with running(GroupCommit("test", writer.write, waiting=2)) as group:
        *taken, refused = asyncio.run(run(group))
    assert taken == [2, 4, 6]
    assert isinstance(refused, Full)


def test_a_write_with_the_wrong_number_of_results_fails_only_its_batch() -> None:
    with running(GroupCommit("test", lambda items: [] if 13 in items else items)) as group:
        (lost,), (kept,) = submit(group, 13), submit(group, 1)
    assert isinstance(lost, ValueError)
    assert kept == 1


def test_when_the_writing_thread_fails_nobody_waits_for_it() -> None:
    def exit_at_once(_: list[int]) -> Sequence[int]:
        raise SystemExit

    group = GroupCommit[int, int]("test", exit_at_once)

    async def run() -> list[int | BaseException]:
        waiting = [asyncio.ensure_future(group.submit(item)) for item in range(BATCH + 1)]
        await asyncio.sleep(0)
        with pytest.raises(SystemExit):
            group.run()
        late, waited = await asyncio.gather(group.submit(1), waiting[-1], return_exceptions=True)
        return [late, waited]

    assert [type(one) for one in asyncio.run(run())] == [NotWritten, NotWritten]


def test_a_single_request_does_not_wait_for_others(
    group: GroupCommit[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groupcommit, "GATHER", 30.0)
    for number in range(3):
        assert submit(group, number) == [number * 2]


def test_a_caller_that_cannot_wait_for_the_end_of_a_write_learns_that_it_is_undecided(writer: Writer) -> None:
    writer.open.clear()

    async def run(group: GroupCommit[int, int]) -> list[int | BaseException]:
        hasty = asyncio.ensure_future(group.submit(1, Deadline.within(0.05)))
        patient = asyncio.ensure_future(group.submit(2))
        (undecided,) = await asyncio.gather(hasty, return_exceptions=True)
        writer.open.set()
        return [undecided, await patient]

    with running(GroupCommit("test", writer.write)) as group:
        undecided, result = asyncio.run(run(group))
    assert isinstance(undecided, Undecided)
    assert result == 4
    assert [item for batch in writer.batches for item in batch] == [1, 2]


@pytest.mark.parametrize(("leaves_in_time", "written"), [(True, [[1]]), (False, [[1], [2]])])
def test_the_item_of_a_disconnected_caller_is_written_only_if_the_write_had_begun(
    writer: Writer, monkeypatch: pytest.MonkeyPatch, leaves_in_time: bool, written: list[list[int]]
) -> None:
    monkeypatch.setattr(groupcommit, "PROMPT", 0.0)
    writer.open.clear()

    async def run(group: GroupCommit[int, int]) -> None:
        first = asyncio.ensure_future(group.submit(1))
        await asyncio.to_thread(eventually, lambda: writer.batches)
        gone = asyncio.Event()
        leaving = asyncio.ensure_future(group.submit(2, Deadline.within(30.0, gone.wait)))
        if leaves_in_time:
            gone.set()
            with pytest.raises(NotWritten):
                await leaving
        writer.open.set()
        await first
        if not leaves_in_time:
            assert await leaving == 4
            gone.set()

    with running(GroupCommit("test", writer.write)) as group:
        asyncio.run(run(group))
    assert writer.batches == written
