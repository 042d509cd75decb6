"""Orders that are not finished."""

from oms_chassis.db import Database, Rows
from oms_chassis.messaging import outbox

STEPS = ("relay", "payment", "inventory", "refund")

# An order whose event is still in our own outbox waits for our relay, and not for whoever reads the event.
_WAITING = f"""
WITH unfinished AS (
    SELECT id, status, updated_at FROM orders
    WHERE status <> 'CONFIRMED' AND status IN ('PENDING', 'PAID', 'CANCELLING')
), unsent AS MATERIALIZED ({outbox.UNSENT_KEYS})
SELECT CASE status
        WHEN 'PENDING' THEN CASE WHEN id::text IN (SELECT key FROM unsent) THEN 'relay' ELSE 'payment' END
        WHEN 'PAID' THEN 'inventory'
        ELSE 'refund'
    END AS step,
    count(*) AS orders,
    count(*) FILTER (WHERE updated_at < now() - make_interval(secs => %(limit)s)) AS stuck
FROM unfinished GROUP BY 1
"""


def count(database: Database, limit: float) -> Rows:
    """By the `step` that they wait for: the `orders`, and those that are `stuck` for more than `limit` seconds."""
    return database.execute(_WAITING, limit=limit)
