"""Counts unfinished and stuck orders by the step that they wait for, and moves on those that an older release left
behind."""

from oms_chassis.db import Database
from oms_chassis.runtime.threads import Task
from oms_order.metrics import OrderMetrics
from oms_order.repository import orders, stuck

REFRESH = 10.0  # seconds between two counts
CATCH_UP, MOST = 30.0, 500  # seconds between two searches for orders that were left behind, and how many are moved on


def measure_backlog(database: Database, metrics: OrderMetrics, limit: float) -> None:
    """Count the unfinished orders, and those whose status has not changed for more than `limit` seconds."""
    waiting = {row.step: row for row in stuck.count(database, limit)}
    for step in stuck.STEPS:
        row = waiting.get(step)
        metrics.unfinished.labels(step).set(row.orders if row else 0)
        metrics.stuck.labels(step).set(row.stuck if row else 0)


def catch_up(database: Database, metrics: OrderMetrics) -> None:
    """Move on orders whose facts were written by an older release that lacked the rules for them."""
    with database.transaction() as transaction:
        behind = orders.lock_free(transaction, orders.left_behind(transaction, MOST))
        changed = [order.apply([]) for order in behind]
        orders.save(transaction, [(order, steps) for order, steps in changed if steps])
    metrics.count(changed)


def tasks(database: Database, metrics: OrderMetrics, limit: float) -> list[Task]:
    """The periodic tasks: measuring the backlog, and moving on orders that were left behind."""
    return [
        Task("backlog", lambda: measure_backlog(database, metrics, limit), REFRESH),
        Task("left-behind", lambda: catch_up(database, metrics), CATCH_UP),
    ]
