"""Callers that read items wait for each other, and stock is reserved in the meantime."""

import threading
import time
from typing import Any

import httpx2
import psycopg
from prometheus_client import CollectorRegistry
from support.chassis import deliver, eventually
from support.server import routes
from support.stock import paid, stock

from oms_chassis.db import Database
from oms_inventory.handlers import payment_completed
from oms_inventory.main import SERVICE
from oms_inventory.settings import InventorySettings

READERS = 24


def test_many_slow_readers_do_not_hold_up_the_reservation_of_stock(
    database: Database, seed: Any, migrated_url: str
) -> None:
    seed(kettle=5)
    settings = InventorySettings(database_url=migrated_url, kafka_bootstrap="127.0.0.1:1")
    shared = Database(migrated_url, settings.database_pool, settings.limits)
    with (
        routes(SERVICE, settings, shared, CollectorRegistry()) as (address, _),
        psycopg.connect(migrated_url) as holder,
    ):
        holder.execute("LOCK TABLE movement IN ACCESS EXCLUSIVE MODE")  # which selling takes no part of
        answers: list[int] = []

        def look() -> None:
            answers.append(httpx2.get(f"{address}/items/kettle/movements", timeout=30).status_code)

        readers = [threading.Thread(target=look) for _ in range(READERS)]
        for reader in readers:
            reader.start()
        eventually(lambda: any(pool.in_use == pool.size for pool in shared.pools()), within=30)
        began = time.monotonic()
        deliver(shared, payment_completed, [paid("o1", {"kettle": 2})])
        took = time.monotonic() - began
        holder.rollback()
        for reader in readers:
            reader.join()
    shared.dispose()
    assert took < 2
    assert stock(database) == {"kettle": (3, 2)}
    assert set(answers) <= {200, 503}
