"""Refunds of confirmed orders, which an operator requests in parts, and again if an answer was lost."""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2
from invariants import Promised
from support import load
from support.orders import TERMINAL

MOST = 2  # refunds per order
LOOKS_EVERY, LOOKS_FOR = 0.5, 60.0  # seconds between two looks at an order that has not ended, and for all looks
AGAIN = 0.5  # share of the refunds that are requested again although they were answered
_NOT_NOW = {0, *load.RETRIED}

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Answered:
    """The answer to a request: its status (0: none), and the refund or otherwise the kind of problem."""

    status: int
    refund: Promised | None = None
    kind: str = ""


async def refund(
    client: httpx2.AsyncClient, order_id: str, rng: random.Random, deadline: float
) -> tuple[list[Promised], list[str]]:
    """Refund parts of an order once it is confirmed. Return the promised refunds, and wrong answers."""
    order = await ended(client, order_id, deadline)
    promised: list[Promised] = []
    if order is None or order["status"] != "CONFIRMED":
        return [], []
    for _ in range(rng.randint(1, MOST)):
        asked, key = _part(order, rng), uuid4().hex
        answered = await _answer(client, order_id, asked, key, deadline)
        wrong = _wrong(order, asked, answered, sum(one.amount for one in promised))
        promised += [answered.refund] if answered.refund else []
        if answered.refund and rng.random() < AGAIN:
            again = await _answer(client, order_id, asked, key, deadline)
            wrong = "" if again == answered else f"one key was answered by {answered} and {again} for"
        if wrong:
            return promised, [f"{wrong} a refund of {order_id}"]
    return promised, []


async def ended(client: httpx2.AsyncClient, order_id: str, deadline: float) -> dict[str, Any] | None:
    """Return the order as soon as it has ended, or None if that takes too long."""
    deadline = min(deadline, time.monotonic() + LOOKS_FOR)
    while time.monotonic() < deadline:
        try:
            response = await client.get(f"/order/{order_id}")
        except httpx2.TransportError:
            response = None
        if response is not None and response.status_code == 200:
            order: dict[str, Any] = response.json()
            if order["status"] in TERMINAL:
                return order
        await asyncio.sleep(LOOKS_EVERY)
    return None


def _part(order: Body, rng: random.Random) -> Body:
    if rng.random() < 0.5:
        return {"amount": rng.randint(1, order["total"])}
    line = rng.choice(order["lines"])
    return {"lines": [{"id": line["itemId"], "quantity": 1}], "restock": rng.random() < 0.5, "reason": "It was broken"}


async def _answer(client: httpx2.AsyncClient, order_id: str, asked: Body, key: str, deadline: float) -> Answered:
    """Send a request until there is an answer, and return that."""
    pause = load.pauses()
    while True:
        answered = await _post(client, order_id, asked, key)
        if answered.status not in _NOT_NOW or time.monotonic() > deadline:
            return answered
        await asyncio.sleep(next(pause))


async def _post(client: httpx2.AsyncClient, order_id: str, asked: Body, key: str) -> Answered:
    try:
        response = await client.post(f"/order/{order_id}/refund", json=asked, headers={"Idempotency-Key": key})
    except httpx2.TransportError:
        return Answered(0)
    if response.status_code == 202:
        said = response.json()
        return Answered(202, Promised(said["id"], order_id, said["amount"]))
    return Answered(response.status_code, kind=load.problem(response))


def _wrong(order: Body, asked: Body, answered: Answered, given: int) -> str:
    """Return what is wrong with an answer, if anything."""
    if answered.status == 202:
        return ""
    if answered.kind == "refund-too-large":
        return "not as much as remains could be had by" if _wanted(order, asked) <= order["total"] - given else ""
    if answered.kind == "invalid-request" and given:  # more of a line than remains of it
        return ""
    return f"{answered.status} {answered.kind} was answered to"


def _wanted(order: Body, asked: Body) -> int:
    """Return the requested amount."""
    prices: dict[str, int] = {line["itemId"]: line["unitPrice"] for line in order["lines"]}
    lines: Sequence[Body] = asked.get("lines", ())
    return int(asked.get("amount", 0)) + sum(prices[str(line["id"])] * int(line["quantity"]) for line in lines)
