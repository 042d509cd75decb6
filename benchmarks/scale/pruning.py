"""Measures the deletion of the oldest orders, chunk by chunk."""

import time

from benchmarks.scale.figures import Figure
from oms_chassis.db import Database
from oms_chassis.retention import prune
from oms_order import retentions

BOUND = 10_000.0  # milliseconds: the most that a statement may take
_DAYS = "SELECT extract(epoch FROM now() - placed_at) / 86400 AS days FROM orders ORDER BY id OFFSET %(at)s LIMIT 1"


def figures(database: Database, count: int) -> list[Figure]:
    """Measure how long the slowest chunk takes if `count` orders are too old."""
    days = float(database.execute(_DAYS, at=count)[0].days)
    (retention,) = retentions.orders(days)
    before, longest, more = _orders(database), 0.0, True
    while more:
        began = time.perf_counter()
        more = prune(database, retention) is not None
        longest = max(longest, (time.perf_counter() - began) * 1000)
    return [Figure(f"the longest chunk of {before - _orders(database)} orders that were deleted", longest, BOUND)]


def _orders(database: Database) -> int:
    return int(database.execute("SELECT count(*) AS orders FROM orders")[0].orders)
