"""For how long the Order Service keeps what."""

from collections.abc import Sequence

from oms_chassis.retention import Retention, of_orders
from oms_order.domain import TERMINAL

_ENDED = f"status IN ({', '.join(repr(status.value) for status in sorted(TERMINAL))})"


def orders(days: float | None) -> Sequence[Retention]:
    """Orders that have ended, with their lines, timelines and refunds."""
    return of_orders("orders", "updated_at", days, ended=_ENDED, key="id", also=("order_line", "timeline", "refund"))
