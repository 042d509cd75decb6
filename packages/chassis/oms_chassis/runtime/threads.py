"""Named threads that a service lives by: an error in one of them ends the process, which is then started again."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from oms_chassis.heartbeat import HeartbeatThread
from oms_chassis.telemetry import redaction
from oms_chassis.telemetry.logs import logger

log = logger(__name__)


@dataclass(frozen=True)
class Task:
    """A function to call every so many seconds, the first time after `first` if that is given.

    It may return in how many seconds it wants to be called again. An error of one call is logged, and the next call
    comes anyway. It is passed over until the consumer's group has `kept_up` for so many seconds: what is judged by what
    has not been read waits until everything is, by whichever replica.
    """

    name: str
    call: Callable[[], float | None]
    every: float
    first: float | None = None
    kept_up: float = 0.0


class Loop(Protocol):
    """What a thread runs until it is stopped."""

    name: str

    def run(self) -> None:
        """Work until stopped."""

    def stop(self) -> None:
        """Finish what is at hand; `run` returns then."""


class Periodic:
    """Runs a task until it is stopped."""

    def __init__(
        self,
        task: Task,
        on_failure: Callable[[], object] = lambda: None,
        kept_up: Callable[[], float] = lambda: float("inf"),
    ) -> None:
        self.name = task.name
        self._task, self._on_failure, self._kept_up = task, on_failure, kept_up
        self._stopping = threading.Event()
        self.failures = 0  # in a row

    def run(self) -> None:
        """Wait, call, and so on."""
        pause = self._task.first
        while not self._stopping.wait(self._task.every if pause is None else pause):
            pause = self._call()

    def _call(self) -> float | None:
        if self._task.kept_up and self._kept_up() < self._task.kept_up:
            return None
        try:
            pause = self._task.call()
        except Exception as error:  # noqa: BLE001 - the next call may well succeed
            log.warning("task_failed", task=self._task.name, error=type(error).__name__)
            self.failures += 1
            self._on_failure()
            return None
        self.failures = 0
        return pause

    def stop(self) -> None:
        """No further call."""
        self._stopping.set()


class ThreadSupervisor:
    """The threads of one process."""

    def __init__(self, on_failure: Callable[[], None]) -> None:
        self._on_failure = on_failure
        self._threads: dict[str, HeartbeatThread] = {}
        self.failed = False

    def start(self, name: str, run: Callable[[], None]) -> None:
        """Run a function in a thread of its own."""
        thread = HeartbeatThread(target=self.guard, args=(name, run), name=name, daemon=True)
        self._threads[name] = thread
        thread.start()

    def beats(self) -> dict[str, float]:
        """The last heartbeat of each running thread that has a loop, on the monotonic clock."""
        running = [thread for thread in list(self._threads.values()) if thread.is_alive()]
        return {thread.name: thread.last_beat for thread in running if thread.last_beat is not None}

    def join(self, name: str, seconds: float) -> bool:
        """Wait for a thread's end; whether it has ended."""
        thread = self._threads.get(name)
        if thread is None:
            return True
        thread.join(max(0.0, seconds))
        return not thread.is_alive()

    def guard(self, name: str, run: Callable[[], None]) -> None:
        """Run a function; if it raises, say where (not what: an error's text may quote a customer) and end. Whatever it
        raises: a panic in a library's Rust code is no Exception."""
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - the process is about to end for it
            log.error("thread_failed", thread=name, **redaction.described(error))
            self.failed = True
            self._on_failure()


async def run_detached(name: str, call: Callable[[], object], seconds: float) -> bool:
    """Call in a thread of its own, which nobody waits for at the process's end; whether it was over within `seconds`.

    asyncio's own threads are waited for at the end, without a bound. An error is logged; the next step comes anyway.
    """
    loop, over = asyncio.get_running_loop(), asyncio.Event()

    def run() -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - logged, as said above
            log.warning("stop_failed", step=name, error=type(error).__name__)
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(over.set)

    threading.Thread(target=run, name=name, daemon=True).start()
    try:
        await asyncio.wait_for(over.wait(), max(0.0, seconds))
    except TimeoutError:
        return False
    return True
