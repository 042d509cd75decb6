"""For how long the Order Service keeps what."""

from collections.abc import Sequence

from oms_chassis.retention import Retention, of_orders
from oms_order.domain import TERMINAL

# A refund that has not come through is somebody's money: its order is not over.
_ENDED = f"""
status IN ({", ".join(repr(status.value) for status in sorted(TERMINAL))})
AND NOT EXISTS (SELECT 1 FROM refund WHERE refund.order_id = orders.id AND refund.status <> 'SUCCEEDED')
"""


def orders(days: float | None) -> Sequence[Retention]:
    """Orders that have ended, with their lines, timelines and refunds."""
    also = ("order_line", "timeline", "refund")
    return of_orders("orders", "updated_at", days, ended=_ENDED, key="id", also=also, longer=0.0)
