"""Limits waits to the time for which a caller waits for an answer."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, ParamSpec, Self, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

P = ParamSpec("P")
T = TypeVar("T")
Disconnected = Callable[[], Awaitable[object]]
ENDED = "oms.ended"  # the key of an event in an ASGI scope: set when the client has closed its side of the connection


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long a caller waits for an answer: until a time on the monotonic clock, or until `disconnected` returns."""

    until: float
    disconnected: Disconnected | None = None

    @classmethod
    def within(cls, seconds: float, disconnected: Disconnected | None = None) -> Self:
        """Return the deadline in this many seconds."""
        return cls(time.monotonic() + seconds, disconnected)

    @property
    def seconds(self) -> float:
        """How many seconds are left."""
        return max(0.0, self.until - time.monotonic())


async def within(seconds: float, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function in a thread and return its result. Raises TimeoutError if it takes longer.

    The thread is then abandoned: cancelling the call would wait for it.
    """
    task = asyncio.ensure_future(run_in_threadpool(call, *args, **kwargs))
    await asyncio.wait({task}, timeout=max(0.0, seconds))
    if task.done():
        return task.result()
    task.add_done_callback(_forget)
    raise TimeoutError


class Shared(Generic[T]):
    """A call that is made only once at a time: those who ask while it is under way share its result. Otherwise, each of
    them would hold a thread, and perhaps a connection, while the call hangs."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._under_way: asyncio.Future[T] | None = None

    async def in_time(self, seconds: float, otherwise: T) -> T:
        """Return the result of the call if it arrives in time, and `otherwise` if not."""
        if self._under_way is None or self._under_way.done():
            self._under_way = asyncio.ensure_future(asyncio.to_thread(self._call))
        asked = self._under_way
        await asyncio.wait({asked}, timeout=seconds)
        return asked.result() if asked.done() else otherwise


async def departure(request: Request) -> None:
    """Return once the client has closed its connection, or its half of it: it may have gone."""
    ended: asyncio.Event = request.scope[ENDED]
    await ended.wait()


def _forget(task: "asyncio.Task[T]") -> None:
    # Retrieve the error: asyncio would log it otherwise, with its text.
    if not task.cancelled():
        task.exception()
