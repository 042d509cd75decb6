"""Orders that are not finished."""

from uuid import UUID

from oms_chassis.db import Database
from oms_chassis.messaging import outbox
from oms_chassis.statements import Rows
from oms_order.domain import Status
from oms_order.repository import open_orders

UNFINISHED = (Status.PENDING, Status.PAID, Status.CANCELLING)
STEPS = ("relay", "payment", "inventory", "refund")

_STEP = """
CASE status
    WHEN 'PENDING' THEN
        CASE WHEN convert_to(id::text, 'UTF8') IN (SELECT key FROM unsent) THEN 'relay' ELSE 'payment' END
    WHEN 'PAID' THEN 'inventory'
    ELSE 'refund'
END AS step
"""
# An order whose event is still in our own outbox waits for our relay, not for the reader of the event.
_WAITING = f"""
WITH unfinished AS (
    SELECT id, status, updated_at FROM orders
    WHERE status <> 'CONFIRMED' AND status IN ({", ".join(f"'{status}'" for status in UNFINISHED)})
), unsent AS MATERIALIZED ({outbox.UNSENT_KEYS})
SELECT {_STEP}, count(*) AS orders,
    count(*) FILTER (WHERE updated_at < now() - make_interval(secs => %(limit)s)) AS stuck
FROM unfinished GROUP BY 1
"""
_STUCK = "updated_at < now() - make_interval(secs => %(limit)s)"
_COLUMNS = "status, reason, placed_at, updated_at"
_PAGE = f"""
WITH unsent AS MATERIALIZED ({outbox.UNSENT_KEYS})
{open_orders.page(dict.fromkeys(UNFINISHED, _STUCK), f"id, {_COLUMNS}", f"id::text, {_COLUMNS}, {_STEP}")}
"""


def count(database: Database, limit: float) -> Rows:
    """Count unfinished `orders` by the `step` that they wait for, and those `stuck` for more than `limit` seconds."""
    return database.execute(_WAITING, limit=limit)


def page(database: Database, limit: float, after: UUID, most: int) -> Rows:
    """Return at most `most` orders after `after`, in the order of their ids, whose status has not changed for more than
    `limit` seconds."""
    return database.execute(_PAGE, limit=limit, after=after, most=most)
