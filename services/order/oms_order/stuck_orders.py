"""How many orders are not finished, and which step each waits for: an operator looks at those that are stuck."""

from oms_chassis.db import Database
from oms_chassis.runtime.threads import Task
from oms_order.metrics import OrderMetrics
from oms_order.repository import stuck

REFRESH = 10.0  # seconds between two counts


def measure_backlog(database: Database, metrics: OrderMetrics, limit: float) -> None:
    """Count the orders that are under way, and those whose status has not changed for more than `limit` seconds."""
    waiting = {row.step: row for row in stuck.count(database, limit)}
    for step in stuck.STEPS:
        row = waiting.get(step)
        metrics.unfinished.labels(step).set(row.orders if row else 0)
        metrics.stuck.labels(step).set(row.stuck if row else 0)


def task(database: Database, metrics: OrderMetrics, limit: float) -> Task:
    """Measures the backlog every so often."""
    return Task("backlog", lambda: measure_backlog(database, metrics, limit), REFRESH)
