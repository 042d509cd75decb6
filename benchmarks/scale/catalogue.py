"""Measures a large catalogue in the memory of an order service."""

import time
import tracemalloc

from prometheus_client import CollectorRegistry

from benchmarks.scale.figures import Figure, slowest
from oms_chassis.db import Database
from oms_order.catalogue import Catalogue
from oms_order.metrics import OrderMetrics

_ITEMS = """
INSERT INTO item (id, name, unit_price, currency, available, version)
SELECT 'SKU-' || lpad(n::text, 9, '0'), 'Neutral product, boxed, number ' || n, 1250, 'USD', true, 1
FROM generate_series(1, %(items)s) AS n
"""
_OLD = "UPDATE item SET seen_at = now() - interval '1 hour'"
_CHANGE = "UPDATE item SET unit_price = 1, version = 2, seen_at = clock_timestamp() WHERE id = 'SKU-000000007'"


def figures(database: Database, items: int) -> list[Figure]:
    """Measure how long it takes to load a catalogue and its changes, and how much memory it needs."""
    database.execute(_ITEMS, items=items)
    database.execute(_OLD)
    database.execute("ANALYZE item")
    tracemalloc.start()
    catalogue = Catalogue(database, OrderMetrics(CollectorRegistry()))
    began = time.perf_counter()
    catalogue.refresh()
    learned = (time.perf_counter() - began) * 1000
    held, peak = (size / 2**20 for size in tracemalloc.get_traced_memory())
    tracemalloc.stop()
    assert len(catalogue.items) == items
    database.execute(_CHANGE)
    found = [
        Figure(f"learning {items} items", learned, 30_000.0),
        Figure("their memory", held, 100.0, "MiB"),
        Figure("the same at its peak", peak, 120.0, "MiB"),
        slowest("looking for changes", 100.0, catalogue.refresh),
    ]
    assert catalogue.items["SKU-000000007"].unit_price == 1
    return found
