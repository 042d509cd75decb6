"""For how long the Inventory Service keeps its data."""

from collections.abc import Sequence

from oms_chassis.retention import Retention, of_orders
from oms_inventory.repository.journal import CARRY


def orders(days: float | None) -> Sequence[Retention]:
    """Allocations with their reservations and returns: the stock that they took has been sold, and is carried."""
    return of_orders("allocation", "at", days, ended="true", also=("reservation", "stock_return"), then=CARRY)
