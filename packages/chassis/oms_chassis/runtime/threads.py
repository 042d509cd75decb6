"""The named threads of a service. An error in one of them ends the process, which is then restarted."""

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

    It may return the number of seconds until the next call. If a call raises, the error is logged, and the next call is
    made anyway. With `kept_up`, calls are skipped until the consumer's group has kept up for so many seconds: a
    decision that depends on events that may be unread waits until all are read, by whichever replica.
    """

    name: str
    call: Callable[[], float | None]
    every: float
    first: float | None = None
    kept_up: float = 0.0


class Loop(Protocol):
    """The work of a thread, until it is stopped."""

    name: str

    def run(self) -> None:
        """Work until stopped."""

    def stop(self) -> None:
        """Make `run` finish its current work and return."""


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
        self.failures = 0  # consecutive ones

    def run(self) -> None:
        """Call the task again and again, with pauses."""
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
        """Make no further calls."""
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
        """Return the last heartbeat of each running thread that has a loop, on the monotonic clock."""
        running = [thread for thread in list(self._threads.values()) if thread.is_alive()]
        return {thread.name: thread.last_beat for thread in running if thread.last_beat is not None}

    def join(self, name: str, seconds: float) -> bool:
        """Wait for a thread's end, and return whether it has ended."""
        thread = self._threads.get(name)
        if thread is None:
            return True
        thread.join(max(0.0, seconds))
        return not thread.is_alive()

    def guard(self, name: str, run: Callable[[], None]) -> None:
        """Run a function. If it raises, log where (but not the error's text, which may quote a customer) and end the
        process. This catches BaseException, because a panic in a library's Rust code is not an Exception."""
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - it ends the process
            log.error("thread_failed", thread=name, **redaction.described(error))
            self.failed = True
            self._on_failure()


async def run_detached(name: str, call: Callable[[], object], seconds: float) -> bool:
    """Call in a daemon thread, for which the process does not wait at exit, and return whether it ended within
    `seconds`.

    The process waits for asyncio's own threads without a limit. An error is logged, and counts as an end.
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
