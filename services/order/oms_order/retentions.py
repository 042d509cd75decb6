"""For how long the Order Service keeps its data."""

from collections.abc import Sequence

from oms_chassis.retention import Retention, of_orders
from oms_order.domain import TERMINAL
from oms_order.repository.refunds import FITS

# A refund that has not succeeded is somebody's money: its order is kept, unless another refund returned the money. The
# refund of a cancelled order's whole amount is in the timeline only, where the last step counts.
_ENDED = f"""
status IN ({", ".join(repr(status.value) for status in sorted(TERMINAL))})
AND NOT EXISTS (
    SELECT 1 FROM refund WHERE refund.order_id = orders.id AND refund.status <> 'SUCCEEDED'
        AND (refund.status <> 'FAILED' OR {FITS})
)
AND (
    SELECT refund_status FROM timeline step WHERE step.order_id = orders.id AND step.refund_id = orders.id
    ORDER BY position DESC LIMIT 1
) IS DISTINCT FROM 'FAILED'
"""


def orders(days: float | None) -> Sequence[Retention]:
    """Terminal orders, with their lines, timelines and refunds."""
    also = ("order_line", "timeline", "refund")
    return of_orders("orders", "updated_at", days, ended=_ENDED, key="id", also=also, longer=0.0)
