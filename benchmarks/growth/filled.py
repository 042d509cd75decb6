"""Measures orders per second with databases filled as after years of use, and with empty ones."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.load import flood
from benchmarks.runs import await_notified, cpu_seconds, port, system, warm_up
from benchmarks.scale import filling
from oms_chassis.db import Database
from oms_chassis.sessions import Limits
from oms_platform.platform import Platform

CONNECTIONS = 64  # of the load generator
WARM = 1_000  # orders that are not timed: after them, the caches are as in a busy service

# The time in an id is that of its object: within these two years, or within nine days for a remembered event.
_AN_ORDER = f"uuidv7(make_interval(secs => -{filling.YEARS} * 31536000.0 * n / %(orders)s))::text"
_AN_EVENT = "uuidv7(make_interval(secs => -9 * 86400.0 * n / %(orders)s))::text"
_PAYMENTS = f"""
INSERT INTO payment (order_id, state, amount, currency, charge_id)
SELECT {_AN_ORDER}, 'COMPLETED', 100, 'USD', 'ch_' || n FROM generate_series(1, %(orders)s) AS n
"""
_ALLOCATIONS = f"""
INSERT INTO allocation (order_id, is_allocated) SELECT {_AN_ORDER}, true
FROM generate_series(1, %(orders)s) AS n
"""
_RESERVATIONS = "INSERT INTO reservation (order_id, item_id, quantity) SELECT order_id, 'Item1', 1 FROM allocation"
_MESSAGES = f"""
INSERT INTO message (order_id, kind, state, attempts, sent_at)
SELECT {_AN_ORDER}, 'confirmed', 'sent', 1, now() FROM generate_series(1, %(orders)s) AS n
"""
_STOCK = """
INSERT INTO item (id, name, unit_price, currency, initial, on_hand)
SELECT 'SKU-' || lpad(n::text, 9, '0'), 'Neutral product, boxed, number ' || n, 1250, 'USD', 1, 1
FROM generate_series(1, %(items)s) AS n
"""
_CATALOGUE = """
INSERT INTO item (id, name, unit_price, currency, available, version)
SELECT 'SKU-' || lpad(n::text, 9, '0'), 'Neutral product, boxed, number ' || n, 1250, 'USD', true, 1
FROM generate_series(1, %(items)s) AS n
"""
# One row per order in each service; older rows than nine days are deleted, and so do not accumulate.
_INBOX = f"""
INSERT INTO inbox (event_id) SELECT '/oms/service ' || {_AN_EVENT} FROM generate_series(%(orders)s, 1, -1) AS n
"""
_FILL = {
    "order": (_CATALOGUE, _INBOX),
    "payment": (_PAYMENTS, _INBOX),
    "inventory": (_STOCK, _ALLOCATIONS, _RESERVATIONS, _INBOX),
    "sms": (_MESSAGES, _INBOX),
    "email": (_MESSAGES, _INBOX),
}


@dataclass(frozen=True)
class Run:
    """Orders per second until the customer of the last one was notified, and the CPU time of one order in milliseconds,
    of all programs together."""

    rate: float
    cost: float


def throughput(runs: int, orders: int, held: int, items: int) -> list[Run]:
    """Make several runs on one system, whose databases are filled with `held` orders and `items` before the first."""
    with system("oms") as platform:
        if held:
            fill(platform, held, items)
        notified = warm_up(platform)
        notified += asyncio.run(flood(port(platform), WARM, CONNECTIONS)).accepted
        await_notified(platform, notified)
        made = []
        for _ in range(runs):
            before, began = _cpu(platform), time.perf_counter()
            accepted = asyncio.run(flood(port(platform), orders, CONNECTIONS)).accepted
            notified += accepted
            await_notified(platform, notified)
            rate = accepted / (time.perf_counter() - began)
            made.append(Run(rate, 1000 * (_cpu(platform) - before) / accepted))
        return made


def _cpu(platform: Platform) -> float:
    return sum(cpu_seconds(platform).values())


def fill(platform: Platform, held: int, items: int) -> None:
    """Write the rows that `held` orders leave in each database, and `items` items."""
    for name, statements in _FILL.items():
        with _patient(platform.databases[name].url) as database:
            if name == "order":
                filling.orders(database, held, with_open=False)
            for statement in statements:
                wanted = {"orders": held, "items": items}
                database.execute(
                    statement, **{key: value for key, value in wanted.items() if f"%({key})s" in statement}
                )
            database.execute("VACUUM ANALYZE")
            database.execute("CHECKPOINT")
    os.sync()


@contextmanager
def _patient(url: str) -> Iterator[Database]:
    database = Database(url, limits=Limits(statement=0))
    try:
        yield database
    finally:
        database.dispose()
