"""Helpers for tests of messages to customers: orders that end, and a running mail catcher."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from alembic.migration import MigrationContext
from alembic.operations import Operations

from oms_chassis.db import Database
from oms_contracts import topics
from oms_contracts.envelope import Event
from oms_contracts.events import InventoryRejected, InventoryUpdated, OrderCancelled, OrderRefunded, PaymentFailed
from oms_contracts.parts import Customer, Line, RefundedLine, Shortage
from oms_notifications.schema import (
    create_message_quota,
    create_message_table,
    know_cancelled,
    know_refunds,
    know_unknown,
)
from support.chassis import chassis_only

CUSTOMER = Customer(name="Ann Perera", email="ann@example.com", phone_number="762222222", phone_e164="+94762222222")
LINES = [
    Line(item_id="Item1", name="Blue mug", quantity=2, unit_price=1250),
    Line(item_id="Item2", name="Teapot", quantity=1, unit_price=100_000),
]


def order(order_id: str, **changes: Any) -> dict[str, Any]:
    """Return the fields of an order in an event."""
    fields = {"order_id": order_id, "customer": CUSTOMER, "lines": LINES, "total": 102_500, "currency": "USD"}
    return {**fields, **changes}


def confirmed(order_id: str, **changes: Any) -> Event[Any]:
    """Return the event that confirms an order."""
    return topics.INVENTORY_UPDATED.event(InventoryUpdated(**order(order_id, **changes)), order_id)


def declined(order_id: str, reason: str = "card-declined", **changes: Any) -> Event[Any]:
    """Return the event of a failed payment."""
    return topics.PAYMENT_FAILED.event(PaymentFailed(**order(order_id, **changes), reason=reason), order_id)


def out_of_stock(order_id: str, **changes: Any) -> Event[Any]:
    """Return the event of an order that cannot be fulfilled."""
    shortages = [Shortage(item_id="Item2", requested=1, available=0)]
    return topics.INVENTORY_REJECTED.event(
        InventoryRejected(**order(order_id, **changes), shortages=shortages), order_id
    )


def cancelled(order_id: str, reason: str = "customer", **changes: Any) -> Event[Any]:
    """Return the event of a cancelled order."""
    return topics.ORDER_CANCELLED.event(OrderCancelled(**order(order_id, **changes), reason=reason), order_id)


def refunded(order_id: str, refund_id: str, amount: int = 1250, *items: str) -> Event[Any]:
    """Return the event of a completed refund: of one piece of each of these items, or of an amount."""
    lines = [RefundedLine(item_id=line.item_id, name=line.name, quantity=1) for line in LINES if line.item_id in items]
    data = OrderRefunded(**order(order_id), refund_id=refund_id, amount=amount, refunded=lines)
    return topics.ORDER_REFUNDED.event(data, order_id)


def message_table(url: str) -> Database:
    """Return a database with the tables that both services have."""
    database = chassis_only(url)
    with database.engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        create_message_table()
        know_cancelled()
        know_unknown()
        create_message_quota()
        know_refunds()
    return database


@dataclass(frozen=True)
class RunningMailCatcher:
    """A mail catcher in a process of its own."""

    smtp_port: int
    http_port: int
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def messages(self, **query: Any) -> list[dict[str, str]]:
        """Return the answer to GET /messages."""
        answer = httpx2.get(f"{self.url}/messages", params=query, timeout=30)
        found: list[dict[str, str]] = answer.raise_for_status().json()
        return found

    def counts(self) -> dict[str, int]:
        """Return the answer to GET /messages/count."""
        found: dict[str, int] = httpx2.get(f"{self.url}/messages/count", timeout=30).raise_for_status().json()
        return found


@contextmanager
def running_mail_catcher(folder: Path, smtp_port: int, http_port: int) -> Iterator[RunningMailCatcher]:
    """Run a mail catcher during the block."""
    command = [sys.executable, "-m", "oms_simulators.mailcatcher", "--folder", str(folder)]
    ports = ["--smtp-port", str(smtp_port), "--http-port", str(http_port)]
    process = subprocess.Popen([*command, *ports])
    try:
        _wait_until_live(f"http://127.0.0.1:{http_port}/livez", process)
        yield RunningMailCatcher(smtp_port, http_port, process)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_live(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            httpx2.get(url).raise_for_status()
        except httpx2.HTTPError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
