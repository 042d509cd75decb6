"""Which orders are not finished, and by what each of them is held: for a person to look at when it lasts."""

from oms_chassis.db import Database
from oms_order.metrics import OrderMetrics

SWEEP = 10.0  # seconds between two sweeps
STEPS = ("relay", "payment", "inventory", "refund")

# An order whose event is still in our own outbox is held by our relay, and not by whoever waits for the event.
_HELD = """
WITH unfinished AS (
    SELECT id, status, updated_at FROM orders
    WHERE status <> 'CONFIRMED' AND status IN ('PENDING', 'PAID', 'CANCELLING')
), unsent AS MATERIALIZED (SELECT convert_from(key, 'UTF8') AS id FROM outbox WHERE key IS NOT NULL)
SELECT CASE status
        WHEN 'PENDING' THEN CASE WHEN id::text IN (SELECT id FROM unsent) THEN 'relay' ELSE 'payment' END
        WHEN 'PAID' THEN 'inventory'
        ELSE 'refund'
    END AS step,
    count(*) AS orders,
    count(*) FILTER (WHERE updated_at < now() - make_interval(secs => %(limit)s)) AS stuck
FROM unfinished GROUP BY 1
"""


def sweep(database: Database, metrics: OrderMetrics, limit: float) -> None:
    """Count the orders that are under way, and those that have stood still for more than `limit` seconds."""
    held = {row.step: row for row in database.execute(_HELD, limit=limit)}
    for step in STEPS:
        row = held.get(step)
        metrics.unfinished.labels(step).set(row.orders if row else 0)
        metrics.stuck.labels(step).set(row.stuck if row else 0)
