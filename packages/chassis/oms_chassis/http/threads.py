"""Limits how long a request waits for one of the threads in which routes use the database.

FastAPI runs each route that is a plain function in a thread. The number of threads is limited, but not the wait for
one: while the database hangs, the thousandth request would be answered after minutes.
"""

import asyncio
import inspect
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import ParamSpec, TypeVar

from fastapi.routing import APIRoute, iter_route_contexts
from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oms_chassis.http import problems
from oms_chassis.http.problems import Unavailable

P = ParamSpec("P")
T = TypeVar("T")
THREADS = 40  # anyio's default limit
WAIT = 2.5  # seconds, as long as an order waits to be written


class Threads:
    """The threads of an application's requests."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(THREADS)

    async def take(self) -> Callable[[], None]:
        """Wait for a thread. Return a function that releases it, and may be called repeatedly. Raises Unavailable."""
        try:
            async with asyncio.timeout(WAIT):
                await self._free.acquire()
        except TimeoutError:
            raise Unavailable from None
        given = ExitStack()
        given.callback(self._free.release)
        return given.close

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in a thread, for an async route, and return its result. Raises Unavailable."""
        give_back = await self.take()
        try:
            return await run_in_threadpool(call, *args, **kwargs)
        finally:
            give_back()


class Threaded:
    """Makes a request to a route that is a plain function wait for a thread. If none becomes free in time, refuses the
    request with 503."""

    def __init__(self, app: ASGIApp, threads: Threads, routes: Sequence[BaseRoute]) -> None:
        self._app, self._threads = app, threads
        self._plain = [one for one in iter_route_contexts(routes) if _is_plain(one.original_route)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._takes_one(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            give_back = await self._threads.take()
        except Unavailable as problem:
            await problems.respond(problem)(scope, receive, send)
            return

        async def answering(message: Message) -> None:
            give_back()  # a client that reads slowly must not keep a thread
            await send(message)

        try:
            await self._app(scope, receive, answering)
        finally:
            give_back()

    def _takes_one(self, method: str, path: str) -> bool:
        return any(method in (one.methods or ()) and one.path_regex.match(path) for one in self._plain)


def _is_plain(route: BaseRoute) -> bool:
    return isinstance(route, APIRoute) and not inspect.iscoroutinefunction(route.endpoint)
