"""A process ends in time, whatever hangs."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from oms_chassis.runtime.drain import Drain

HANGING = """
import asyncio, threading
from oms_chassis.runtime.drain import LastResort
last_resort = LastResort()
last_resort.arm(0.5)
threading.Thread(target=threading.Event().wait, name="stuck").start()

async def ask():
    await asyncio.to_thread(threading.Event().wait, 600)

asyncio.run(asyncio.wait_for(ask(), 0.1))
"""


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """An event that steps may wait for, and that is set when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_a_step_that_hangs_is_late_and_the_next_one_runs_anyway(stuck: threading.Event) -> None:
    done: list[str] = []

    async def run() -> Drain:
        drain = Drain(1.0)
        await drain.step("hanging", stuck.wait, 0.3)
        await drain.step("next", lambda: done.append("next"), 0.9)
        return drain

    assert asyncio.run(run()).in_time is False
    assert done == ["next"]


def test_a_step_may_report_that_it_was_late_and_one_that_fails_does_not_stop_the_next() -> None:
    def fail() -> None:
        raise LookupError

    async def run(*outcomes: bool) -> bool:
        drain = Drain(5.0)
        for outcome in outcomes:
            await drain.step("failing", fail, 1.0)
            await drain.step("step", lambda outcome=outcome: outcome, 1.0)  # type: ignore[misc] # its default is typed
        return drain.in_time

    assert asyncio.run(run(True, True)) is True
    assert asyncio.run(run(False, True)) is False


def test_a_process_whose_threads_hang_is_killed_and_logs_their_names() -> None:
    done = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "stuck" in done.stdout
