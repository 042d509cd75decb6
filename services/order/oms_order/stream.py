"""Live timelines as server-sent events.

One poll of the database serves all listeners of a process, and sees what any replica has written. An event's id is its
position in the timeline, so that a listener can resume after a disconnection.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from oms_chassis.db import Database
from oms_order.domain import TERMINAL
from oms_order.problems import OrderNotFound, TooManyListeners
from oms_order.refunds import RefundStatus
from oms_order.repository import orders
from oms_order.schemas import StepView

HEARTBEAT = b": still here\n\n"


@dataclass(eq=False)
class Listener:
    """A client that follows one order. `seen` is the last position that was put into its queue."""

    order_id: UUID
    seen: int
    news: "asyncio.Queue[StepView | None]" = field(default_factory=asyncio.Queue)

    def queue(self, steps: Iterable[StepView]) -> None:
        """Queue those steps that this listener has not got yet."""
        for step in steps:
            if step.position > self.seen:
                self.seen = step.position
                self.news.put_nowait(step)


class Timelines:
    """All listeners of a process. Used from the event loop only, except for `stop`."""

    def __init__(self, database: Database, poll: float, heartbeat: float, limit: int) -> None:
        self._database, self._poll, self._heartbeat, self._limit = database, poll, heartbeat, limit
        self._listeners: set[Listener] = set()
        self._poller: asyncio.Task[None] | None = None
        self._stopping = False

    def stop(self) -> None:
        """End every stream within one poll; may be called from any thread."""
        self._stopping = True

    def listen(self, order_id: UUID, seen: int) -> AsyncIterator[bytes]:
        """The order's events after position `seen`, up to a terminal one. Raises TooManyListeners."""
        if self._stopping or len(self._listeners) >= self._limit:
            raise TooManyListeners
        return self._follow(Listener(order_id, seen))

    async def _follow(self, listener: Listener) -> AsyncIterator[bytes]:
        self._listeners.add(listener)
        if self._poller is None:
            self._poller = asyncio.create_task(self._watch())
        try:
            async for step in self._steps(listener):
                yield HEARTBEAT if step is None else encode(step)
        finally:
            self._listeners.discard(listener)

    async def _steps(self, listener: Listener) -> AsyncIterator[StepView | None]:
        """A listener's steps, and None whenever a heartbeat is due."""
        while True:
            try:
                step = await asyncio.wait_for(listener.news.get(), self._heartbeat)
            except TimeoutError:
                yield None
                continue
            if step is None:
                return
            yield step
            if _is_last(step) and listener.news.empty():
                return

    async def _watch(self) -> None:
        try:
            while self._listeners and not self._stopping:
                await self._publish_news()
                await asyncio.sleep(self._poll)
        finally:
            self._poller = None
            for listener in self._listeners:
                listener.news.put_nowait(None)

    async def _publish_news(self) -> None:
        try:
            news = await asyncio.to_thread(self._read, self._wanted())
        except SQLAlchemyError:
            return  # the listeners stay connected, and get the news once the database is back
        for listener in self._listeners:
            listener.queue(news.get(listener.order_id, ()))

    def _wanted(self) -> dict[UUID, int]:
        wanted: dict[UUID, int] = {}
        for listener in self._listeners:
            wanted[listener.order_id] = min(wanted.get(listener.order_id, listener.seen), listener.seen)
        return wanted

    def _read(self, wanted: dict[UUID, int]) -> dict[UUID, list[StepView]]:
        news: dict[UUID, list[StepView]] = defaultdict(list)
        for row in orders.news(self._database, wanted):
            news[row.order_id].append(StepView.of(row))
        return news


def start(database: Database, order_id: UUID, seen: int, owner: str | None = None) -> int | None:
    """The position after which a listener resumes; None if it has seen everything. Raises OrderNotFound.

    A listener that has seen more than there is saw it before the database was restored; it resumes at the present end.
    """
    rows = orders.progress(database, order_id, owner)
    if not rows:
        raise OrderNotFound
    if rows[0].status in TERMINAL and seen >= rows[0].version and not rows[0].refunding:
        return None
    return min(seen, int(rows[0].version))


def _is_last(step: StepView) -> bool:
    """Whether the stream may end: the order is terminal, and no refund is pending."""
    return step.status in TERMINAL and step.refund_status != RefundStatus.PENDING


def last_seen(header: str | None) -> int:
    """The position in a Last-Event-ID header; 0, which means everything, if there is none."""
    return int(header) if header is not None and header.isdecimal() and len(header) < 10 else 0


def encode(step: StepView) -> bytes:
    """A step as a server-sent event."""
    return f"id: {step.position}\nevent: status\ndata: {step.model_dump_json(exclude_none=True)}\n\n".encode()
