"""Steps of timelines that change no status: those of refunds and of disputes. Each shows the order as it is."""

from collections.abc import Iterable, Mapping, Sequence

from oms_chassis.db import Transaction
from oms_chassis.tables import names, typed
from oms_order.tables import TimelineRow

_STEP = ("order_id", "refund_id", "refund_status", "outcome", "dispute_id", "disputed", "note", "actor")
# Several steps of one order get consecutive positions. A dispute gets one step, however often it is received.
_WRITE = f"""
WITH steps AS (
    SELECT *, row_number() OVER (PARTITION BY order_id ORDER BY refund_id, dispute_id) AS number
    FROM json_to_recordset(%(rows)s::json) AS r({typed(TimelineRow, *_STEP)})
    WHERE dispute_id IS NULL OR NOT EXISTS (
        SELECT FROM timeline WHERE timeline.order_id = r.order_id AND timeline.dispute_id = r.dispute_id)
), changed AS (
    UPDATE orders SET version = version + s.steps, updated_at = clock_timestamp()
    FROM (SELECT order_id, count(*)::int AS steps FROM steps GROUP BY order_id) AS s WHERE orders.id = s.order_id
    RETURNING orders.id, orders.status, orders.reason, orders.version - s.steps AS before
)
INSERT INTO timeline (position, status, reason, at, {names(TimelineRow, *_STEP)})
SELECT c.before + s.number, c.status, c.reason, clock_timestamp(), {names(TimelineRow, *_STEP, of="s")}
FROM steps s JOIN changed c ON c.id = s.order_id
"""
_OUTCOMES = """
SELECT order_id::text, coalesce(max(outcome), 0) AS outcome FROM timeline
WHERE order_id = ANY(%(orders)s::uuid[]) AND refund_id = order_id GROUP BY order_id
"""


def write(transaction: Transaction, steps: Iterable[Mapping[str, object]]) -> None:
    """Add these steps to the timelines of their orders, which are locked. Each has its `order_id`, and the columns of a
    refund or of a dispute."""
    transaction.execute_rows(_WRITE, ({**dict.fromkeys(_STEP), **step} for step in steps))


def of_refund(
    order_id: str, refund_id: str, status: str, note: str | None, outcome: int | None = None
) -> dict[str, object]:
    """Return the step of a refund that has reached this status."""
    step = {"order_id": order_id, "refund_id": refund_id, "refund_status": status}
    return {**step, "note": note, "outcome": outcome}


def outcomes(transaction: Transaction, orders: Sequence[str]) -> dict[str, int]:
    """Return, by order, the highest number of an outcome of the refund of the whole amount; 0 if it has no number.

    Orders without such an outcome are left out. The orders are locked.
    """
    if not orders:
        return {}
    return {row.order_id: row.outcome for row in transaction.execute(_OUTCOMES, orders=list(orders))}
