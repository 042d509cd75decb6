"""Live timelines as server-sent events. One poll of the database serves all listeners of a process, and it sees what
any replica wrote; an event's id is its position in the timeline, so that a listener can go on where it was cut off."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from oms_chassis.db import Database, as_json
from oms_chassis.http.problems import Problem
from oms_order.domain import TERMINAL, Status
from oms_order.schemas import StepView

HEARTBEAT = b": still here\n\n"

_NEWS = """
SELECT t.order_id, t.position, t.status, t.reason, t.at
FROM json_to_recordset(%(rows)s::json) AS w(order_id uuid, seen int)
JOIN timeline t ON t.order_id = w.order_id AND t.position > w.seen
ORDER BY t.order_id, t.position
"""


@dataclass(eq=False)
class Listener:
    """Someone who wants to hear of one order. `seen` is the last position that was put into the queue."""

    order_id: UUID
    seen: int
    news: "asyncio.Queue[StepView | None]" = field(default_factory=asyncio.Queue)

    def tell(self, steps: Iterable[StepView]) -> None:
        """Queue the steps that are new to this listener."""
        for step in steps:
            if step.position > self.seen:
                self.seen = step.position
                self.news.put_nowait(step)


class Timelines:
    """All listeners of a process. Used from the event loop only, but for `stop`."""

    def __init__(self, database: Database, poll: float, heartbeat: float, limit: int) -> None:
        self._database, self._poll, self._heartbeat, self._limit = database, poll, heartbeat, limit
        self._listeners: set[Listener] = set()
        self._poller: asyncio.Task[None] | None = None
        self._stopping = False

    def stop(self) -> None:
        """End every stream within one poll; may be called from any thread."""
        self._stopping = True

    def listen(self, order_id: UUID, seen: int) -> AsyncIterator[bytes]:
        """The order's events after position `seen`, up to a terminal one. Raises Problem 503 if too many listen."""
        if self._stopping or len(self._listeners) >= self._limit:
            raise Problem(503, "busy", "Too many listen to orders", headers={"Retry-After": "5"})
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
        """A listener's steps, with None for each silence that is worth a heartbeat."""
        while True:
            try:
                step = await asyncio.wait_for(listener.news.get(), self._heartbeat)
            except TimeoutError:
                yield None
                continue
            if step is None:
                return
            yield step
            if step.status in TERMINAL:
                return

    async def _watch(self) -> None:
        try:
            while self._listeners and not self._stopping:
                await self._tell_news()
                await asyncio.sleep(self._poll)
        finally:
            self._poller = None
            for listener in self._listeners:
                listener.news.put_nowait(None)

    async def _tell_news(self) -> None:
        try:
            news = await asyncio.to_thread(self._read, self._wanted())
        except SQLAlchemyError:
            return  # the listeners stay, and hear of it once the database is back
        for listener in self._listeners:
            listener.tell(news.get(listener.order_id, ()))

    def _wanted(self) -> dict[UUID, int]:
        wanted: dict[UUID, int] = {}
        for listener in self._listeners:
            wanted[listener.order_id] = min(wanted.get(listener.order_id, listener.seen), listener.seen)
        return wanted

    def _read(self, wanted: dict[UUID, int]) -> dict[UUID, list[StepView]]:
        rows = as_json([{"order_id": order_id, "seen": seen} for order_id, seen in wanted.items()])
        news: dict[UUID, list[StepView]] = defaultdict(list)
        for row in self._database.execute(_NEWS, rows=rows):
            news[row.order_id].append(_step(row))
        return news


def is_over(database: Database, order_id: UUID, seen: int) -> bool | None:
    """Whether a listener who saw this much has seen the end; None if there is no such order."""
    rows = database.execute("SELECT status, version FROM orders WHERE id = %(id)s", id=order_id)
    return bool(Status(rows[0].status) in TERMINAL and seen >= rows[0].version) if rows else None


def last_seen(header: str | None) -> int:
    """The position that Last-Event-ID names; 0, so everything, if it names none."""
    return int(header) if header is not None and header.isdecimal() and len(header) < 10 else 0


def encode(step: StepView) -> bytes:
    """A step as a server-sent event."""
    return f"id: {step.position}\nevent: status\ndata: {step.model_dump_json(exclude_none=True)}\n\n".encode()


def _step(row: Any) -> StepView:
    return StepView(position=row.position, status=row.status, reason=row.reason, at=row.at)
