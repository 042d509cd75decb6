"""Many orders at once, by a client that does what a good client does: the same key again until there is an answer."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import httpx
from invariants import Answer

from support.orders import APPROVED, DECLINED, Body, body

RETRIED = {429, 500, 502, 503, 504}
PAUSE = 0.2  # seconds before an order is sent again


@dataclass
class Outcome:
    """What became of a load: the accepted orders, and how often each other status (0: no answer) came before."""

    answers: list[Answer] = field(default_factory=list)
    refusals: Counter[int] = field(default_factory=Counter)


def mix(count: int) -> list[Body]:
    """Orders of all kinds: of ten, one is declined, and one asks for more than there is."""
    kinds = [body(("Item1", 1), ("Item2", 2)), body(("Item3", 1))]
    kinds = [*kinds * 4, body(("Item2", 1), card=DECLINED), body(("Item1", 1), ("Item5", 10_000), card=APPROVED)]
    return [_for_somebody(kinds[number % len(kinds)]) for number in range(count)]


def _for_somebody(order: Body) -> Body:
    return {**order, "customer": {**order["customer"], "email": f"{uuid4().hex}@load.example"}}


async def post_all(
    url: str,
    orders: Sequence[Body],
    *,
    concurrency: int = 16,
    spread: float = 0.0,
    within: float = 60.0,
    meanwhile: Callable[[], None] | None = None,
) -> Outcome:
    """Post orders, evenly over `spread` seconds, until all are accepted. `meanwhile` runs in a thread meanwhile."""
    outcome, slots, start = Outcome(), asyncio.Semaphore(concurrency), time.monotonic()
    timeout = httpx.Timeout(15.0)
    async with httpx.AsyncClient(base_url=url, timeout=timeout) as client, asyncio.TaskGroup() as group:
        if meanwhile is not None:
            group.create_task(asyncio.to_thread(meanwhile))
        for number, order in enumerate(orders):
            await asyncio.sleep(start + spread * number / len(orders) - time.monotonic())
            group.create_task(_post(client, order, outcome, slots, start + spread + within))
    return outcome


async def _post(
    client: httpx.AsyncClient, order: Body, outcome: Outcome, slots: asyncio.Semaphore, deadline: float
) -> None:
    key = uuid4().hex
    async with slots:
        while (status := await _attempt(client, order, key, outcome)) != 202:
            assert status in {0, 409, *RETRIED}, f"an order was refused with {status}"
            assert time.monotonic() < deadline, f"an order was not accepted in time; so far: {outcome.refusals}"
            outcome.refusals[status] += 1
            await asyncio.sleep(PAUSE)


async def _attempt(client: httpx.AsyncClient, order: Body, key: str, outcome: Outcome) -> int:
    try:
        response = await client.post("/order", json=order, headers={"Idempotency-Key": key})
    except httpx.TransportError:
        return 0
    if response.status_code == 202:
        outcome.answers.append(Answer(key, response.json()["id"], order["customer"]["email"]))
    return response.status_code


def post(
    url: str, orders: Sequence[Body], *, spread: float = 0.0, meanwhile: Callable[[], None] | None = None
) -> Outcome:
    """post_all for tests that are not asynchronous themselves."""
    return asyncio.run(post_all(url, orders, spread=spread, meanwhile=meanwhile))
