"""Customers and shopkeepers who act meanwhile, at a steady rate. Every answer is recorded, and judged at once.

Of ten clients, three repeat their order until they get an answer; two of them repeat it once more afterwards, one of
whom also cancels when it is too late, and the third's order is refunded in parts. Three send their order once, without
a key; four cancel their order at any time in its first seconds.
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

import httpx2
from invariants import Promised
from support import load
from support.load import Outcome
from support.orders import DECLINED, Body
from support.traffic import ANSWER_SECONDS, Background

from chaos import cards, refunds

GIVE_UP = 300.0  # seconds after which a client with a key gives up
CANCELS_WITHIN = 3.0  # seconds after its acceptance within which an order is cancelled
CHANGES_EVERY = 2.0  # seconds between two changes of a price or of stock
TOO_LATE = "too-late-to-cancel"
_NOT_NOW = {0, 409, *load.RETRIED}


@dataclass
class Seen(Outcome):
    """An outcome that also has the refunds and cancelled orders whose requests were answered with 202, the interval in
    which each refund was requested, and the confirmed orders for which a cancellation was `too_late`."""

    refunds: list[Promised] = field(default_factory=list)
    refunding: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    too_late: set[str] = field(default_factory=set)


class Clients(Background[Seen]):
    """Customers who place `rate` orders a second, and a shopkeeper if the inventory can be reached."""

    def __init__(self, url: str, inventory_url: str | None, rate: float, seed: int) -> None:
        super().__init__(Seen())
        self._url, self._inventory_url, self._rate = url, inventory_url, rate
        self._seed, self._rng = seed, random.Random(seed)

    def counted(self, say: Callable[[str], None]) -> Callable[[str], None]:
        """Return a function that also says how many orders are accepted by then."""
        return lambda line: say(f"{line}; {len(self.seen.answers)} orders")

    async def _send(self) -> None:
        async with load.client_of(self._url, ANSWER_SECONDS) as client, asyncio.TaskGroup() as group:
            if self._inventory_url is not None:
                group.create_task(self._keep_shop(self._inventory_url))
            began, number = time.monotonic(), 0
            while not self._ending.is_set():
                group.create_task(self._customer(client, number))
                number += 1
                await asyncio.sleep(began + number / self._rate - time.monotonic())

    async def _customer(self, client: httpx2.AsyncClient, number: int) -> None:
        order, deadline = order_of(self._seed, number), time.monotonic() + GIVE_UP
        match number % 10:
            case 0 | 1 | 2:
                await load.post_once(client, order, self.seen)
            case 3:
                await self._ask_twice(client, order, deadline)
            case 4:
                order_id = await self._ask_twice(client, order, deadline)
                await self._cancel_late(client, order_id, deadline)
            case 5:
                await self._refund(client, order, deadline)
            case _:
                await self._cancel(client, order, deadline)

    async def _ask_twice(self, client: httpx2.AsyncClient, order: Body, deadline: float) -> str:
        key = uuid4().hex
        first = await load.post_until_accepted(client, order, self.seen, deadline, key)
        again = await load.post_until_accepted(client, order, self.seen, deadline, key)
        if first != again:
            self.seen.wrong.append(f"one key was answered with the orders {first} and {again}")
        return first

    async def _refund(self, client: httpx2.AsyncClient, order: Body, deadline: float) -> None:
        order_id = await load.post_until_accepted(client, order, self.seen, deadline)
        began = datetime.now(UTC)
        promised, wrong = await refunds.refund(client, order_id, self._rng, deadline)
        self.seen.refunds += promised
        self.seen.refunding.update((one.id, (began, datetime.now(UTC))) for one in promised)
        self.seen.wrong += wrong

    async def _cancel(self, client: httpx2.AsyncClient, order: Body, deadline: float) -> None:
        order_id = await load.post_until_accepted(client, order, self.seen, deadline)
        await asyncio.sleep(self._rng.uniform(0.0, CANCELS_WITHIN))
        status, kind = await self._cancelled(client, order_id, deadline)
        if status == 202:
            self.seen.cancelled.add(order_id)
        elif kind != TOO_LATE and status not in _NOT_NOW:
            self.seen.wrong.append(f"the cancellation of {order_id} was answered with {status}")

    async def _cancel_late(self, client: httpx2.AsyncClient, order_id: str, deadline: float) -> None:
        """Cancel the order once it is confirmed, which is too late: no time is configured for that."""
        order = await refunds.ended(client, order_id, deadline)
        if order is None or order["status"] != "CONFIRMED":
            return
        status, kind = await self._cancelled(client, order_id, deadline)
        if kind == TOO_LATE:
            self.seen.too_late.add(order_id)
        elif status not in _NOT_NOW:
            self.seen.wrong.append(f"the cancellation of {order_id}, which was CONFIRMED, was answered with {status}")

    async def _cancelled(self, client: httpx2.AsyncClient, order_id: str, deadline: float) -> tuple[int, str]:
        """Send a request to cancel until there is an answer, and return that."""
        pause = load.pauses()
        while True:
            status, kind = await self._asked_to_cancel(client, order_id)
            if kind == TOO_LATE or status not in _NOT_NOW or time.monotonic() > deadline:
                return status, kind
            await asyncio.sleep(next(pause))

    async def _asked_to_cancel(self, client: httpx2.AsyncClient, order_id: str) -> tuple[int, str]:
        began = time.monotonic()
        try:
            response = await client.post(f"/order/{order_id}/cancel")
        except httpx2.TransportError:
            return 0, ""
        finally:
            self.seen.slowest = max(self.seen.slowest, time.monotonic() - began)
        return response.status_code, load.problem(response)

    async def _keep_shop(self, url: str) -> None:
        """Change prices and add stock; requests that fail are not repeated."""
        async with httpx2.AsyncClient(base_url=url, timeout=ANSWER_SECONDS) as client:
            while not await asyncio.to_thread(self._ending.wait, CHANGES_EVERY):
                item = f"Item{self._rng.randint(1, 3)}"
                try:
                    shown = (await client.get(f"/items/{item}")).json()
                    changed = {"name": shown["name"], "unitPrice": self._rng.randint(100, 2000)}
                    await client.put(f"/items/{item}", json=changed)
                    await client.post(f"/items/{item}/restock", json={"quantity": self._rng.randint(1, 9)})
                except (httpx2.HTTPError, KeyError, ValueError):
                    continue


def order_of(seed: int, number: int) -> Body:
    """Return the order of the client with this number. Of ten with the same behaviour, one is declined and one exceeds
    the stock; for the others, the card decides."""
    order = load.mix(10)[number // 10 % 10]
    if (
        any(item["quantity"] == load.TOO_MANY for item in order["items"])
        or order["paymentDetails"]["cardNumber"] == DECLINED
    ):
        return order
    card = cards.number(random.Random(f"{seed}:{number}"), is_refunded=number % 10 == 5)
    return {**order, "paymentDetails": {**order["paymentDetails"], "cardNumber": card}}
