"""Callers that ask for unknown items wait for each other, and events are applied in the meantime."""

import threading
import time
from collections.abc import Callable
from typing import Any

import httpx2
import psycopg
from support.chassis import eventually

CALLERS = 24


def test_many_orders_of_unknown_items_do_not_hold_up_the_consumer(
    start: Callable[..., Any], migrated_url: str, body: dict[str, Any]
) -> None:
    service, answers = start(), list[int]()
    service.task("catalogue")
    body["items"] = [{"id": "unheard", "quantity": 1}]
    with psycopg.connect(migrated_url) as holder:
        holder.execute("LOCK TABLE item IN ACCESS EXCLUSIVE MODE")

        def place() -> None:
            answers.append(httpx2.post(f"{service.client.base_url}/order", json=body, timeout=30).status_code)

        callers = [threading.Thread(target=place) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        eventually(lambda: any(pool.in_use == pool.size for pool in service.database.pools()), within=30)
        began = time.monotonic()
        service.database.execute("SELECT 1")  # as the consumer does, by connections of its own
        took = time.monotonic() - began
        holder.rollback()
        for caller in callers:
            caller.join()
    assert took < 1
    assert set(answers) <= {422, 503}
