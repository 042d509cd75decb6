"""Measures how long it takes until the system works again: a new order and all earlier ones reach their ends."""

import time
from datetime import UTC, datetime
from uuid import uuid4

import httpx2
import psycopg
from invariants import Answer
from support.chassis import eventually
from support.orders import Body, body

# An order whose card the gateway never accepts waits until the payment service gives up, with or without a fault.
_EARLIER = """
SELECT count(*) FROM orders
WHERE status NOT IN ('CONFIRMED', 'CANCELLED') AND placed_at <= %s AND card_token NOT LIKE 'sim-%%-unavailable-%%'
"""
_CONFIRMED = "SELECT count(*) FROM orders WHERE id::text = %s AND status = 'CONFIRMED'"


class Probe:
    """Places orders of its own, which `placed` lists, and reads the order service's database."""

    def __init__(self, url: str, database: str, within: float) -> None:
        self._url, self._database, self._within = url, database, within
        self.placed: list[Answer] = []

    def recovery(self) -> float:
        """Return the seconds from now until a new order is CONFIRMED and all earlier ones have ended.

        Raises AssertionError if that takes longer than the bound.
        """
        began, now = time.monotonic(), datetime.now(UTC)
        order, key = body(("Item1", 1)), uuid4().hex
        with httpx2.Client(base_url=self._url, timeout=30.0) as client:
            eventually(lambda: self._is_confirmed(client, order, key), within=self._within)
        eventually(lambda: self.rows(_EARLIER, now) == [(0,)], within=self._within)
        return time.monotonic() - began

    def rows(self, sql: str, *parameters: object) -> list[tuple[object, ...]]:
        """Return rows of the order service's database, in a transaction that works on a read-only server, too."""
        with psycopg.connect(self._database) as connection:
            return connection.execute(sql.encode(), parameters).fetchall()

    def _is_confirmed(self, client: httpx2.Client, order: Body, key: str) -> bool:
        """Whether an order that is placed now is CONFIRMED soon."""
        # With a key: if the outcome is unknown, the request is repeated, and gives the same order.
        try:
            response = client.post("/order", json=order, headers={"Idempotency-Key": key})
        except httpx2.TransportError:
            return False
        if response.status_code != 202:
            return False
        order_id = str(response.json()["id"])
        self.placed.append(Answer(None, order_id))
        return eventually(lambda: self.rows(_CONFIRMED, order_id) == [(1,)], within=self._within)
