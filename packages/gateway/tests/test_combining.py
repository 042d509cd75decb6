"""Calls that share one execution."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from oms_gateway.combining import Combiner


class Work:
    """Doubles numbers, a batch at a time, and only while its gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.started = threading.Event()
        self.batches: list[list[int]] = []

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.started.set()
        assert self.gate.wait(10)
        if -1 in items:
            raise ValueError("minus one")
        return [2 * item for item in items]


@pytest.fixture
def work() -> Work:
    return Work()


def test_a_call_that_is_alone_goes_through_at_once(work: Work) -> None:
    work.gate.set()
    combiner = Combiner(work)
    assert [combiner.call(1), combiner.call(2)] == [2, 4]
    assert work.batches == [[1], [2]]


def test_calls_that_come_during_an_execution_share_the_next_one(work: Work) -> None:
    combiner = Combiner(work)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(combiner.call, 1)
        assert work.started.wait(10)
        others = [pool.submit(combiner.call, n) for n in range(2, 10)]
        wait_for_waiting(combiner, 8)
        work.gate.set()
        assert first.result(10) == 2
        assert [other.result(10) for other in others] == [2 * n for n in range(2, 10)]
    assert [len(batch) for batch in work.batches] == [1, 8]


def test_an_error_reaches_all_who_shared_the_execution_and_nobody_else(work: Work) -> None:
    combiner = Combiner(work)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(combiner.call, 1)
        assert work.started.wait(10)
        others = [pool.submit(combiner.call, n) for n in (-1, 5)]
        wait_for_waiting(combiner, 2)
        work.gate.set()
        assert first.result(10) == 2
        for other in others:
            with pytest.raises(ValueError, match="minus one"):
                other.result(10)
    assert combiner.call(3) == 6


def test_every_caller_gets_its_own_answer_under_load(work: Work) -> None:
    work.gate.set()
    combiner = Combiner(work)
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(combiner.call, range(5000))) == [2 * n for n in range(5000)]
    assert sorted(item for batch in work.batches for item in batch) == list(range(5000))


def wait_for_waiting(combiner: Combiner[int, int], count: int) -> None:
    deadline = threading.Event()
    timer = threading.Timer(10, deadline.set)
    timer.start()
    while len(combiner._waiting) < count:
        assert not deadline.wait(0.002)
    timer.cancel()
