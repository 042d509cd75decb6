"""What customers and shopkeepers do meanwhile, at a steady rate; every answer is kept, and judged at once.

Of ten clients, three ask again until they have an answer, two of them once more after it; three ask once without a key;
four cancel what they ordered, at any moment of its first seconds.
"""

import asyncio
import random
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from uuid import uuid4

import httpx
from support import load
from support.chassis import eventually
from support.load import Outcome
from support.orders import Body

GIVE_UP = 300.0  # seconds after which a client with a key gives up
ANSWER_SECONDS = 30.0  # seconds that a client waits for an answer: longer than any may take, so that its length is seen
CANCELS_WITHIN = 3.0  # seconds after its acceptance in which an order is cancelled
CHANGES_EVERY = 2.0  # seconds between two changes of a price or of stock
_NOT_NOW = {0, 409, *load.RETRIED}


@dataclass
class Seen(Outcome):
    """And: the orders whose cancellation was answered with 202, and every answer that nobody should ever get."""

    cancelled: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


class Clients:
    """From the beginning of a block to its end, at `rate` orders a second."""

    def __init__(self, url: str, inventory_url: str, rate: float, seed: int) -> None:
        self._url, self._inventory_url, self._rate = url, inventory_url, rate
        self._rng = random.Random(seed)
        self.seen = Seen()
        self._ending = threading.Event()
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="clients", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ending.set()
        self._thread.join()

    def await_accepted(self, count: int) -> None:
        """Return once so many orders are accepted."""
        eventually(lambda: len(self.seen.answers) >= count or self._errors, within=60.0)

    def stop(self) -> Seen:
        """Send nothing new; what everybody saw, once the last one has an answer."""
        self._ending.set()
        self._thread.join()
        for error in self._errors:
            raise error
        return self.seen

    def _run(self) -> None:
        try:
            asyncio.run(self._act())
        except BaseException as error:  # noqa: BLE001 - stop raises it, in the test's own thread
            self._errors.append(error)

    async def _act(self) -> None:
        async with load.client_of(self._url, ANSWER_SECONDS) as client, asyncio.TaskGroup() as group:
            group.create_task(self._keep_shop())
            began, number = time.monotonic(), 0
            while not self._ending.is_set():
                group.create_task(self._customer(client, number))
                number += 1
                await asyncio.sleep(began + number / self._rate - time.monotonic())

    async def _customer(self, client: httpx.AsyncClient, number: int) -> None:
        order, deadline = self._order(number), time.monotonic() + GIVE_UP
        match number % 10:
            case 0 | 1 | 2:
                await load.post_once(client, order, self.seen)
            case 3 | 4:
                await self._ask_twice(client, order, deadline)
            case 5:
                await load.post_until_accepted(client, order, self.seen, deadline)
            case _:
                await self._cancel(client, order, deadline)

    def _order(self, number: int) -> Body:
        return load.mix(10)[number // 10 % 10]

    async def _ask_twice(self, client: httpx.AsyncClient, order: Body, deadline: float) -> None:
        key = uuid4().hex
        first = await load.post_until_accepted(client, order, self.seen, deadline, key)
        again = await load.post_until_accepted(client, order, self.seen, deadline, key)
        if first != again:
            self.seen.wrong.append(f"one key was answered with the orders {first} and {again}")

    async def _cancel(self, client: httpx.AsyncClient, order: Body, deadline: float) -> None:
        order_id = await load.post_until_accepted(client, order, self.seen, deadline)
        await asyncio.sleep(self._rng.uniform(0.0, CANCELS_WITHIN))
        while time.monotonic() < deadline:
            status, kind = await self._asked_to_cancel(client, order_id)
            if status == 202:
                self.seen.cancelled.add(order_id)
                return
            if kind == "too-late-to-cancel":
                return
            if status not in _NOT_NOW:
                self.seen.wrong.append(f"the cancellation of {order_id} was answered with {status}")
                return
            await asyncio.sleep(load.PAUSE)

    async def _asked_to_cancel(self, client: httpx.AsyncClient, order_id: str) -> tuple[int, str]:
        began = time.monotonic()
        try:
            response = await client.post(f"/order/{order_id}/cancel")
        except httpx.TransportError:
            return 0, ""
        finally:
            self.seen.slowest = max(self.seen.slowest, time.monotonic() - began)
        kind = str(response.json().get("type", "")) if response.status_code >= 400 else ""
        return response.status_code, kind.rpartition("/")[2]

    async def _keep_shop(self) -> None:
        """Prices go up and down, and stock comes in; what fails is not asked for again."""
        async with httpx.AsyncClient(base_url=self._inventory_url, timeout=ANSWER_SECONDS) as client:
            while not await asyncio.to_thread(self._ending.wait, CHANGES_EVERY):
                item = f"Item{self._rng.randint(1, 3)}"
                try:
                    shown = (await client.get(f"/items/{item}")).json()
                    changed = {"name": shown["name"], "unitPrice": self._rng.randint(100, 2000)}
                    await client.put(f"/items/{item}", json=changed)
                    await client.post(f"/items/{item}/restock", json={"quantity": self._rng.randint(1, 9)})
                except (httpx.HTTPError, KeyError, ValueError):
                    continue
