"""Group commit: requests that arrive together are written in one transaction, and each caller gets its own answer."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

BATCH = 256
GATHER = 0.002  # seconds that the first request of a batch waits for others, when there were others the last time


@dataclass(frozen=True)
class _Entry(Generic[T, R]):
    item: T
    future: "asyncio.Future[R]"
    loop: asyncio.AbstractEventLoop


class GroupCommit(Generic[T, R]):
    """One thread that writes what has gathered. `write` returns a result (or an Exception to raise) per item."""

    def __init__(self, name: str, write: Callable[[list[T]], Sequence[R | Exception]]) -> None:
        self._write = write
        self._queue: SimpleQueue[_Entry[T, R] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"{name}-writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what was submitted, then end."""
        self._queue.put(None)
        self._thread.join()

    async def submit(self, item: T) -> R:
        """The item's result, once its transaction is committed; raises what `write` raised."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._queue.put(_Entry(item, future, loop))
        return await future

    def _run(self) -> None:
        batch: list[_Entry[T, R]] = []
        while (first := self._queue.get()) is not None:
            batch, ended = self._gather(first, GATHER if len(batch) > 1 else 0.0)
            self._commit(batch)
            if ended:
                return

    def _gather(self, first: _Entry[T, R], seconds: float) -> tuple[list[_Entry[T, R]], bool]:
        batch, deadline = [first], time.monotonic() + seconds
        while len(batch) < BATCH:
            try:
                entry = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                break
            if entry is None:
                return batch, True
            batch.append(entry)
        return batch, False

    def _commit(self, batch: list[_Entry[T, R]]) -> None:
        outcomes: Sequence[R | Exception]
        try:
            outcomes = self._write([entry.item for entry in batch])
        except Exception as error:  # noqa: BLE001 - it is raised where each caller waits
            outcomes = [error] * len(batch)
        resolved = [(entry.future, outcome) for entry, outcome in zip(batch, outcomes, strict=True)]
        batch[0].loop.call_soon_threadsafe(_resolve, resolved)


def _resolve(outcomes: list[tuple["asyncio.Future[R]", R | Exception]]) -> None:
    for future, outcome in outcomes:
        if future.done():  # its caller has gone away
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
