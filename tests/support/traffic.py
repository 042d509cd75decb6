"""A small load in the background: every other client has a key, and the others send their order only once."""

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from itertools import cycle
from types import TracebackType
from typing import Generic, Self, TypeVar

import httpx2

from support import load
from support.chassis import eventually
from support.load import Outcome

Seen = TypeVar("Seen", bound=Outcome)

EVERY = 0.25  # seconds between two orders
ANSWER_SECONDS = (
    30.0  # seconds that a client waits for an answer: longer than any may take, so that slow ones are measured
)
GIVE_UP = 240.0  # seconds after which a client with a key gives up


class Background(ABC, Generic[Seen]):
    """A load in a thread of its own during a block, at the end of which it waits for the last clients."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self._ending = threading.Event()
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ending.set()
        self._thread.join()

    @abstractmethod
    async def _send(self) -> None:
        """Send until `_ending` is set, and record the outcomes in `seen`."""

    def await_accepted(self, count: int) -> None:
        """Return once this many orders are accepted."""
        eventually(lambda: len(self.seen.answers) >= count or self._errors, within=60.0)

    def stop(self) -> Seen:
        """Send nothing new, wait until the last client has its answer, and return the outcome."""
        self._ending.set()
        self._thread.join()
        for error in self._errors:
            raise error
        return self.seen

    def _run(self) -> None:
        try:
            asyncio.run(self._send())
        except BaseException as error:  # noqa: BLE001 - stop raises it, in the test's own thread
            self._errors.append(error)


class Traffic(Background[Outcome]):
    """Orders at a low rate."""

    def __init__(self, url: str) -> None:
        super().__init__(Outcome())
        self._url = url

    async def _send(self) -> None:
        deadline = time.monotonic() + GIVE_UP
        async with load.client_of(self._url, ANSWER_SECONDS) as client, asyncio.TaskGroup() as group:
            for number, _ in enumerate(cycle([None])):
                if self._ending.is_set():
                    return
                group.create_task(self._order(client, number, deadline))
                await asyncio.sleep(EVERY)

    async def _order(self, client: httpx2.AsyncClient, number: int, deadline: float) -> None:
        order = load.mix(10)[number // 2 % 10]
        if number % 2:
            await load.post_until_accepted(client, order, self.seen, deadline)
        else:
            await load.post_once(client, order, self.seen)
