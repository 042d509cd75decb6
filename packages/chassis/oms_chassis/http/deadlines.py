"""Waiting no longer than a caller waits for an answer."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, ParamSpec, Self, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

P = ParamSpec("P")
T = TypeVar("T")
Left = Callable[[], Awaitable[object]]
ENDED = "oms.ended"  # where an ASGI scope has the event that its client sends nothing more


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long a caller has for an answer: until a time on the monotonic clock, or until `left` returns because the
    caller has gone away."""

    until: float
    left: Left | None = None

    @classmethod
    def within(cls, seconds: float, left: Left | None = None) -> Self:
        """In so many seconds."""
        return cls(time.monotonic() + seconds, left)

    @property
    def seconds(self) -> float:
        """How many are left."""
        return max(0.0, self.until - time.monotonic())


async def within(seconds: float, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What a function returns that runs in a thread; TimeoutError if that takes longer. The thread is left to itself.

    Cancelling it instead would wait for it.
    """
    task = asyncio.ensure_future(run_in_threadpool(call, *args, **kwargs))
    await asyncio.wait({task}, timeout=max(0.0, seconds))
    if task.done():
        return task.result()
    task.add_done_callback(_forget)
    raise TimeoutError


class Shared(Generic[T]):
    """A call that is made once at a time: whoever asks while it is under way gets what it returns. While what it waits
    for hangs, each who asks would hold a thread, and perhaps a connection, else."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._under_way: asyncio.Future[T] | None = None

    async def in_time(self, seconds: float, otherwise: T) -> T:
        """What the call returns, if it does so in time; it is not waited for any longer."""
        if self._under_way is None or self._under_way.done():
            self._under_way = asyncio.ensure_future(asyncio.to_thread(self._call))
        asked = self._under_way
        await asyncio.wait({asked}, timeout=seconds)
        return asked.result() if asked.done() else otherwise


async def departure(request: Request) -> None:
    """Return when the client of a request has closed its connection, or its own half: perhaps nobody waits any more."""
    ended: asyncio.Event = request.scope[ENDED]
    await ended.wait()


def _forget(task: "asyncio.Task[T]") -> None:
    # An error that nobody asks for is logged by asyncio, text and all.
    if not task.cancelled():
        task.exception()
