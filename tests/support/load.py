"""Sends many orders at once, by well-behaved clients: with a key, they repeat an order until there is an answer;
without one, they send it only once."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2
from invariants import Answer, Unanswered

from support.orders import APPROVED, DECLINED, Body, body

RETRIED = {429, 502, 503, 504}
INTERNAL = 500  # for a fault of the service itself, which is never right
PAUSE, LONGEST_PAUSE = 0.2, 2.0  # seconds before a request is sent again: initially, and at most
KEPT = 16  # idle connections that a client keeps: httpx2 checks each of them for each request
TOO_MANY = 10_000  # quantity of an item that exceeds the stock
ANSWER_SECONDS = 15.0  # seconds that a client waits for an answer


@dataclass
class Outcome:
    """The outcome of a load: the accepted orders, how often each other status (0: no answer) came before, the clients
    without a 202, how many seconds the slowest answer took (a refused connection counts, too), and every answer that
    nobody should ever get."""

    answers: list[Answer] = field(default_factory=list)
    refusals: Counter[int] = field(default_factory=Counter)
    unanswered: list[Unanswered] = field(default_factory=list)
    slowest: float = 0.0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Attempt:
    """One POST: its status (0: no answer), whether the order may exist although the status is not 202, and its id."""

    status: int
    in_doubt: bool = False
    order_id: str = ""


def mix(count: int) -> list[Body]:
    """Return orders of all kinds: of ten, one is declined, and one exceeds the stock."""
    kinds = [body(("Item1", 1), ("Item2", 2)), body(("Item3", 1))]
    kinds = [*kinds * 4, body(("Item2", 1), card=DECLINED), body(("Item1", 1), ("Item5", TOO_MANY), card=APPROVED)]
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
    host: str | None = None,
) -> Outcome:
    """Post orders, evenly over `spread` seconds, until all are accepted. `meanwhile` runs in a thread at the same time;
    `host` is the host name for an Ingress."""
    outcome, slots, start = Outcome(), asyncio.Semaphore(concurrency), time.monotonic()
    async with client_of(url, host=host) as client, asyncio.TaskGroup() as group:
        if meanwhile is not None:
            group.create_task(asyncio.to_thread(meanwhile))
        for number, order in enumerate(orders):
            await asyncio.sleep(start + spread * number / len(orders) - time.monotonic())
            group.create_task(_post_within(slots, client, order, outcome, start + spread + within))
    return outcome


def client_of(url: str, patience: float = ANSWER_SECONDS, host: str | None = None) -> httpx2.AsyncClient:
    """Return a client of the order service without a limit of connections."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=KEPT)
    return httpx2.AsyncClient(base_url=url, timeout=patience, limits=limits, headers={"Host": host} if host else {})


def pauses() -> Iterator[float]:
    """Yield the seconds before each further attempt, which grow each time, as in well-behaved clients."""
    for tries in itertools.count():
        yield min(PAUSE * 2 ** min(tries, 10), LONGEST_PAUSE)


async def _post_within(
    slots: asyncio.Semaphore, client: httpx2.AsyncClient, order: Body, outcome: Outcome, deadline: float
) -> None:
    async with slots:
        await post_until_accepted(client, order, outcome, deadline)


async def post_until_accepted(
    client: httpx2.AsyncClient, order: Body, outcome: Outcome, deadline: float, key: str | None = None
) -> str:
    """Post an order with a key repeatedly until it is accepted, and return its id. Raises AssertionError if it is not
    accepted by the deadline."""
    key, pause = key or uuid4().hex, pauses()
    while (attempt := await _attempt(client, order, key, outcome)).status != 202:
        assert attempt.status in {0, 409, INTERNAL, *RETRIED}, f"an order was refused with {attempt.status}"
        assert time.monotonic() < deadline, f"an order was not accepted in time; so far: {outcome.refusals}"
        outcome.refusals[attempt.status] += 1
        await asyncio.sleep(next(pause))
    return attempt.order_id


async def post_once(client: httpx2.AsyncClient, order: Body, outcome: Outcome) -> None:
    """Post an order without a key once, whatever the answer."""
    attempt = await _attempt(client, order, None, outcome)
    if attempt.status == 202:
        return
    assert attempt.status in {0, INTERNAL, *RETRIED}, f"an order was refused with {attempt.status}"
    outcome.refusals[attempt.status] += 1
    outcome.unanswered.append(Unanswered(order["customer"]["email"], attempt.in_doubt))


async def _attempt(client: httpx2.AsyncClient, order: Body, key: str | None, outcome: Outcome) -> Attempt:
    began = time.monotonic()
    try:
        response = await client.post("/order", json=order, headers={"Idempotency-Key": key} if key else {})
    except (httpx2.ConnectError, httpx2.ConnectTimeout):
        return Attempt(0)
    except httpx2.TransportError:
        return Attempt(0, in_doubt=True)
    finally:
        outcome.slowest = max(outcome.slowest, time.monotonic() - began)
    if response.status_code == 202:
        order_id = str(response.json()["id"])
        outcome.answers.append(Answer(key, order_id, order["customer"]["email"]))
        return Attempt(202, order_id=order_id)
    if response.status_code == INTERNAL:
        outcome.wrong.append(f"an order was answered with {INTERNAL}: {problem(response) or response.text[:80]}")
    return Attempt(response.status_code, "outcome-unknown" in response.text)


def problem(response: httpx2.Response) -> str:
    """Return the kind of problem of an answer; empty if it is not a problem, or comes from a proxy."""
    if "problem+json" not in response.headers.get("Content-Type", ""):
        return ""
    return str(response.json().get("type", "")).rpartition("/")[2]


def post(url: str, orders: Sequence[Body], **how: Any) -> Outcome:
    """Call post_all from tests that are not asynchronous."""
    return asyncio.run(post_all(url, orders, **how))
