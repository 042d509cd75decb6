"""Named threads that a service lives by: if one of them ends by an error, the process ends and is started anew."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from oms_chassis import redaction
from oms_chassis.logs import logger

log = logger(__name__)


@dataclass(frozen=True)
class Task:
    """A function to call every so many seconds; an error of one call is logged, and the next call comes anyway."""

    name: str
    call: Callable[[], None]
    every: float


class Periodic:
    """Runs a task until it is stopped."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._stopping = threading.Event()

    def run(self) -> None:
        """Call, wait, and so on."""
        while not self._stopping.wait(self._task.every):
            try:
                self._task.call()
            except Exception as error:  # noqa: BLE001 - the next call may well succeed
                log.warning("task_failed", task=self._task.name, error=type(error).__name__)

    def stop(self) -> None:
        """No further call."""
        self._stopping.set()


class Crew:
    """The threads of one process."""

    def __init__(self, on_failure: Callable[[], None]) -> None:
        self._on_failure = on_failure
        self._threads: dict[str, threading.Thread] = {}
        self.failed = False

    def start(self, name: str, run: Callable[[], None]) -> None:
        """Run a function in a thread of its own."""
        thread = threading.Thread(target=self.guard, args=(name, run), name=name, daemon=True)
        self._threads[name] = thread
        thread.start()

    def join(self, name: str, seconds: float) -> bool:
        """Wait for a thread's end; whether it has ended."""
        thread = self._threads.get(name)
        if thread is None:
            return True
        thread.join(max(0.0, seconds))
        return not thread.is_alive()

    def guard(self, name: str, run: Callable[[], None]) -> None:
        """Run a function; if it raises, say where (not what: an error's text may quote a customer) and end."""
        try:
            run()
        except Exception as error:  # noqa: BLE001 - the process is about to end for it
            log.error("thread_failed", thread=name, **redaction.described(error))
            self.failed = True
            self._on_failure()
