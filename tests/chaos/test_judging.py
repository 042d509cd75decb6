"""The driver reports answers to refunds and redrives that nobody should ever get."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from invariants import Promised
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from support.orders import body

from chaos import refunds
from chaos.clients import Clients
from chaos.operators import Operators
from oms_cli.admin import Acting, Admin
from oms_cli.answers import Refused

TOTAL = 10
ORDER = {"status": "CONFIRMED", "total": TOTAL, "lines": [{"itemId": "Item1", "unitPrice": 5, "quantity": 2}]}
Shop = Callable[[str, dict[str, Any]], JSONResponse]


def amount_of(asked: dict[str, Any]) -> int:
    return int(asked.get("amount") or 5)


def refusal(status: int, kind: str) -> JSONResponse:
    return JSONResponse({"type": f"/problems/{kind}"}, status, media_type="application/problem+json")


def honest() -> Shop:
    """Return a shop that honours keys, and refunds no more than was paid."""
    kept: dict[str, dict[str, Any]] = {}

    def answer(key: str, asked: dict[str, Any]) -> JSONResponse:
        if key not in kept:
            if amount_of(asked) > TOTAL - sum(one["amount"] for one in kept.values()):
                return refusal(409, "refund-too-large")
            kept[key] = {"id": uuid4().hex, "amount": amount_of(asked)}
        return JSONResponse(kept[key], 202)

    return answer


def forgetful() -> Shop:
    """Return a shop that makes another refund if a request is repeated."""
    return lambda _, asked: JSONResponse({"id": uuid4().hex, "amount": amount_of(asked)}, 202)


def stingy() -> Shop:
    """Return a shop that claims that nothing remains."""
    return lambda _key, _asked: refusal(409, "refund-too-large")


def broken() -> Shop:
    """Return a shop that does not know any orders."""
    return lambda _key, _asked: refusal(404, "order-not-found")


def judged(answer: Shop, times: int = 40) -> tuple[list[Promised], list[str]]:
    """Return the outcome of refunds of this many orders at a shop that answers like this."""

    async def show(_: Request) -> JSONResponse:
        return JSONResponse(ORDER)

    async def take(request: Request) -> JSONResponse:
        return answer(request.headers["Idempotency-Key"], await request.json())

    app = Starlette(routes=[Route("/order/{id}", show), Route("/order/{id}/refund", take, methods=["POST"])])

    async def run() -> tuple[list[Promised], list[str]]:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://shop") as client:
            rng = random.Random(1)
            found = [await refunds.refund(client, "o", rng, time.monotonic() + 30.0) for _ in range(times)]
        return [one for promised, _ in found for one in promised], [one for _, wrong in found for one in wrong]

    return asyncio.run(run())


def test_a_shop_that_keeps_its_promises_is_not_blamed() -> None:
    promised, wrong = judged(honest(), times=1)
    assert promised
    assert not wrong
    assert sum(one.amount for one in promised) <= TOTAL


@pytest.mark.parametrize(
    ("shop", "complaint"),
    [(forgetful, "one key was answered by"), (stingy, "not as much as remains"), (broken, "404 order-not-found")],
)
def test_a_shop_that_breaks_its_promises_is_blamed(shop: Callable[[], Shop], complaint: str) -> None:
    _, wrong = judged(shop())
    assert wrong
    assert all(complaint in one for one in wrong)


class Letters(Admin):
    """Admin APIs that have a dead letter each, and answer its redrive as planned."""

    def __init__(self, *answers: int) -> None:
        super().__init__({}, "a-token", Acting("ann"))
        self._answers = list(answers)

    def act(self, *_: Any, **_body: Any) -> Any:
        if (status := self._answers.pop(0)) == 200:
            return {"outcome": "applied"}
        refused = Refused(f"as planned ({status})")
        refused.status = status
        raise refused


@pytest.mark.parametrize(
    ("answers", "complaint"),
    [((200, 409), None), ((409, 200), None), ((503, 409), None), ((200, 200), "redriven twice"), ((500, 409), "(500)")],
)
def test_a_letter_is_redriven_once_even_if_that_is_requested_twice(
    answers: tuple[int, int], complaint: str | None
) -> None:
    operators = Operators(Letters(*answers))
    operators._redrive_twice("payment", 1)
    assert len(operators.wrong) == (complaint is not None)
    assert complaint is None or complaint in operators.wrong[0]


@pytest.mark.parametrize(("answer", "is_wrong"), [(409, False), (200, True)])
def test_a_record_that_is_not_an_event_is_not_redriven(answer: int, is_wrong: bool) -> None:
    operators = Operators(Letters(answer))
    operators._redrive_in_vain("payment", 1)
    assert bool(operators.wrong) is is_wrong


def served(status: int) -> list[str]:
    """Return the wrong answers to an order and a cancellation if all of them have this status at first."""
    left = {"/order": 1, "/order/o/cancel": 1}

    async def answer(request: Request) -> JSONResponse:
        left[request.url.path] -= 1
        if left[request.url.path] >= 0:
            return refusal(status, "as-planned")
        return JSONResponse({"id": "o"}, 202)

    clients = Clients("http://shop", None, 1.0, 1)
    clients._rng = random.Random(1)
    app = Starlette(routes=[Route(path, answer, methods=["POST"]) for path in left])

    async def run() -> None:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://shop") as client:
            await clients._cancel(client, body(), time.monotonic() + 30.0)

    asyncio.run(run())
    return clients.seen.wrong


def test_a_request_that_should_come_later_is_repeated_and_a_fault_of_the_service_is_never_right() -> None:
    assert served(503) == []
    order, cancellation = served(500)
    assert "an order was answered with 500" in order
    assert "the cancellation of o was answered with 500" in cancellation
