"""One sync to disk for all that arrived while the last one ran: a sync per message would cost more than the rest."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class GroupSync(Generic[Item]):
    """Hands items to `write` in groups, on a thread of its own. `write` may raise OSError: then none counts as kept."""

    def __init__(self, write: Callable[[list[Item]], None]) -> None:
        self._write = write
        self._waiting: list[tuple[Item, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    def submit(self, item: Item) -> asyncio.Future[None]:
        """A future that is done when the item is on disk. To be called on the event loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append((item, future))
        if self._writer is None:
            self._writer = loop.create_task(self._drain())
        return future

    async def finish(self) -> None:
        """Wait until all that was submitted is written."""
        if self._writer is not None:
            await self._writer

    async def _drain(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            await self._write_group(group)
        self._writer = None

    async def _write_group(self, group: list[tuple[Item, asyncio.Future[None]]]) -> None:
        loop = asyncio.get_running_loop()
        failure: OSError | None = None
        try:
            await loop.run_in_executor(None, self._write, [item for item, _ in group])
        except OSError as error:
            failure = error
        for _, future in group:
            _settle(future, failure)


def _settle(future: asyncio.Future[None], failure: OSError | None) -> None:
    if future.done():  # its caller hung up
        return
    if failure is None:
        future.set_result(None)
    else:
        future.set_exception(failure)
