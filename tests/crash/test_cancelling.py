"""Hundreds of customers place orders, and half of them cancel, while each service is killed: every promised
cancellation happens, and nothing is lost or left over."""

import asyncio
import time
from collections.abc import Sequence
from uuid import uuid4

import httpx2
import pytest
from invariants import Answer, Sources, check_when_quiet
from support import load
from support.faults import kill_and_restart
from support.load import PAUSE, RETRIED, Outcome
from support.orders import Body, read

from oms_contracts.topics import SERVICES
from oms_platform.platform import Platform

pytestmark = pytest.mark.system

COUNT, SPREAD, WITHIN = 300, 15.0, 120.0
MOMENTS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 3.0)  # seconds from an order's acceptance to its cancellation


async def cancel_until_answered(client: httpx2.AsyncClient, order_id: str, deadline: float) -> int:
    """Cancel an order, repeatedly with the same key until there is an answer, and return its status."""
    headers = {"Idempotency-Key": uuid4().hex}
    while True:
        assert time.monotonic() < deadline, "a cancellation was not answered in time"
        try:
            status = (await client.post(f"/order/{order_id}/cancel", headers=headers)).status_code
        except httpx2.TransportError:
            status = 0
        if status not in {0, *RETRIED}:
            return status
        await asyncio.sleep(PAUSE)


async def order_and_cancel(
    client: httpx2.AsyncClient, order: Body, moment: float | None, deadline: float
) -> tuple[Answer, int | None]:
    """Place an order and, if `moment` is given, cancel it after that time. Return both answers."""
    outcome = Outcome()
    await load.post_until_accepted(client, order, outcome, deadline)
    (answer,) = outcome.answers
    if moment is None:
        return answer, None
    await asyncio.sleep(moment)
    return answer, await cancel_until_answered(client, answer.order_id, deadline)


async def customers(platform: Platform) -> Sequence[tuple[Answer, int | None]]:
    """Run customers, evenly over SPREAD seconds, half of whom cancel; each service is killed once meanwhile."""

    def kill_each() -> None:
        for name in SERVICES:
            time.sleep(SPREAD / (len(SERVICES) + 1))
            kill_and_restart(platform, name)

    began = time.monotonic()
    async with load.client_of(platform.url) as client, asyncio.TaskGroup() as group:
        killing = group.create_task(asyncio.to_thread(kill_each))
        tasks = []
        for number, order in enumerate(load.mix(COUNT)):
            await asyncio.sleep(began + SPREAD * number / COUNT - time.monotonic())
            moment = MOMENTS[number // 2 % len(MOMENTS)] if number % 2 else None
            tasks.append(group.create_task(order_and_cancel(client, order, moment, began + WITHIN)))
        answers = [await task for task in tasks]
        await killing
    return answers


def test_every_promised_cancellation_happens_whatever_is_killed(
    platform: Platform, sources: Sources, orders: httpx2.Client
) -> None:
    answers = asyncio.run(customers(platform))
    for service in platform.services.values():
        service.await_ready()
    broken = check_when_quiet(sources, [answer for answer, _ in answers], within=90.0)
    assert not broken, "\n".join(map(str, broken[:20]))
    statuses = [status for _, status in answers if status is not None]
    assert set(statuses) <= {202, 409}
    assert 202 in statuses, "nobody was in time: this shows nothing"  # nearly all are, if clients get enough CPU time
    for answer, status in answers:
        reason = read(orders, answer.order_id).get("reason")
        assert (reason == "customer") == (status == 202), (answer.order_id, status, reason)
