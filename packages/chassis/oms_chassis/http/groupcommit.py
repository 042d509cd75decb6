"""Group commit: writes requests that arrive together in one transaction, and answers each caller separately.

NotWritten          the item was not written, and will not be
└── Full            too many wait already
Undecided           it is being written, and its caller's time is over

An item waits only for a limited time. Until a batch takes it, it can expire, or its caller can disconnect, and then it
is never written. After that, its caller waits for the outcome of `write`, but no longer than its deadline.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from oms_chassis.heartbeat import beat
from oms_chassis.http.deadlines import Deadline, Disconnected

T = TypeVar("T")
R = TypeVar("R")

BATCH = 256
GATHER = 0.002  # seconds that the first request of a batch waits for others, if the last batch had several
IDLE = 5.0  # seconds between two heartbeats while nothing arrives
WAITING, SECONDS = 4096, 2.5  # how many items may wait, and for how long
ANSWER = 4.5  # seconds after which a caller gets an answer in any case
PROMPT = 0.25  # seconds before it is watched whether a caller is still there: few wait any longer


class NotWritten(Exception):
    """The item was not written: it came too late, or waited too long."""


class Full(NotWritten):
    """Too many wait already."""


class Undecided(Exception):
    """The item is being written, but the outcome will be known too late for its caller."""


@dataclass(eq=False, slots=True)
class _Entry(Generic[T, R]):
    item: T
    future: "asyncio.Future[R]"
    loop: asyncio.AbstractEventLoop
    is_settled: bool = field(default=False)  # taken by a batch, or expired
    watch: "asyncio.Task[None] | None" = field(default=None)  # waits for the caller to disconnect

    def settle(self) -> bool:
        """Settle the entry. Return whether it was not settled before: only the first caller may decide about it."""
        was_settled, self.is_settled = self.is_settled, True
        return not was_settled


class GroupCommit(Generic[T, R]):
    """Writes the items that have gathered, in the thread that calls `run`.

    `write` returns a result (or an Exception to raise) per item, and takes a bounded time.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[list[T]], Sequence[R | Exception]],
        waiting: int = WAITING,
        seconds: float = SECONDS,
    ) -> None:
        self.name, self._is_closed = f"{name}-writer", False
        self._write, self._waiting, self._seconds = write, waiting, seconds
        self._queue: SimpleQueue[_Entry[T, R] | None] = SimpleQueue()
        self.waiting = self._queue.qsize  # the number of items that no batch has taken yet
        self._lock = threading.Lock()  # between a batch and an expiry, and between an entry and the end

    def run(self) -> None:
        """Write until stopped, including all items that were submitted before."""
        try:
            self._run()
        finally:
            self._refuse_the_rest()

    def stop(self) -> None:
        """Accept no more items; `run` returns once those submitted before are written."""
        with self._lock:
            self._is_closed = True
            self._queue.put(None)

    async def submit(self, item: T, deadline: Deadline | None = None) -> R:
        """Return the item's result after its commit. Raises NotWritten, Undecided, or what `write` raised, in time."""
        deadline = deadline or Deadline.within(ANSWER)
        entry = self._put(item)
        after = entry.loop.call_later
        timers = [
            after(min(self._seconds, deadline.seconds), self._drop, entry),
            after(deadline.seconds, _fail, entry, Undecided()),
            after(PROMPT, self._watch, entry, deadline.disconnected),
        ]
        try:
            return await entry.future
        finally:
            for timer in timers:
                timer.cancel()
            if entry.watch is not None:
                entry.watch.cancel()

    def _put(self, item: T) -> _Entry[T, R]:
        loop = asyncio.get_running_loop()
        entry: _Entry[T, R] = _Entry(item, loop.create_future(), loop)
        with self._lock:
            if self._is_closed:
                raise NotWritten
            if self._queue.qsize() >= self._waiting:
                raise Full
            self._queue.put(entry)
        return entry

    def _watch(self, entry: _Entry[T, R], disconnected: Disconnected | None) -> None:
        if disconnected is not None:
            entry.watch = entry.loop.create_task(self._drop_after(disconnected, entry))

    async def _drop_after(self, disconnected: Disconnected, entry: _Entry[T, R]) -> None:
        await disconnected()
        self._drop(entry)

    def _drop(self, entry: _Entry[T, R]) -> None:
        """Drop an entry, unless a batch has taken it: then its answer is on the way."""
        with self._lock:
            if entry.settle():
                _fail(entry, NotWritten())

    def _run(self) -> None:
        batch: list[_Entry[T, R]] = []
        while (first := self._next()) is not None:
            batch, ended = self._gather(first, GATHER if len(batch) > 1 else 0.0)
            self._commit(self._take(batch))
            if ended:
                return

    def _next(self) -> _Entry[T, R] | None:
        while True:
            beat()
            with contextlib.suppress(Empty):
                return self._queue.get(timeout=IDLE)

    def _gather(self, first: _Entry[T, R], seconds: float) -> tuple[list[_Entry[T, R]], bool]:
        if self._queue.qsize() < BATCH:
            time.sleep(seconds)  # not in `get`: each request would wake this thread and compete with it
        batch = [first]
        while len(batch) < BATCH:
            try:
                entry = self._queue.get_nowait()
            except Empty:
                break
            if entry is None:
                return batch, True
            batch.append(entry)
        return batch, False

    def _take(self, batch: list[_Entry[T, R]]) -> list[_Entry[T, R]]:
        with self._lock:
            return [entry for entry in batch if entry.settle() and not entry.future.done()]

    def _commit(self, batch: list[_Entry[T, R]]) -> None:
        if not batch:
            return
        futures = [entry.future for entry in batch]
        resolved: list[tuple[asyncio.Future[R], R | Exception]]
        try:
            resolved = list(zip(futures, self._write([entry.item for entry in batch]), strict=True))
        except Exception as error:  # noqa: BLE001 - it is raised in each caller
            resolved = [(future, error) for future in futures]
        with contextlib.suppress(RuntimeError):  # the loop is closed: all callers were answered by their deadlines
            batch[0].loop.call_soon_threadsafe(_resolve, resolved)

    def _refuse_the_rest(self) -> None:
        """Refuse the entries that are left, so that nobody waits for a thread that has ended."""
        with self._lock:
            self._is_closed = True
        rest = [self._queue.get_nowait() for _ in range(self._queue.qsize())]
        for entry in self._take([entry for entry in rest if entry is not None]):
            entry.loop.call_soon_threadsafe(_fail, entry, NotWritten())


def _fail(entry: _Entry[T, R], error: Exception) -> None:
    if not entry.future.done():
        entry.future.set_exception(error)


def _resolve(outcomes: Sequence[tuple["asyncio.Future[R]", R | Exception]]) -> None:
    for future, outcome in outcomes:
        if future.done():  # its caller has disconnected
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
