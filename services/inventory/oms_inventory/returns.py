"""Returns: a refund of a confirmed order with `restock` puts its lines back into stock, once."""

from collections.abc import Sequence

from oms_chassis.db import Transaction
from oms_contracts.envelope import Event
from oms_contracts.events import OrderRefundRequested
from oms_inventory import stock
from oms_inventory.repository import returns
from oms_inventory.repository.journal import Movement
from oms_inventory.repository.returns import Return


def order_refund_requested(transaction: Transaction, events: Sequence[Event[OrderRefundRequested]]) -> None:
    """Restock what was returned. Raises LookupError if an order does not hold that much, so that the event is wrong."""
    asked = [
        Return(event.data.refund_id, line.item_id, event.data.order_id, line.quantity)
        for event in events
        if event.data.restock
        for line in event.data.lines
    ]
    if asked:
        new = returns.accept(transaction, asked)
        stock.put_back(transaction, [_returned(one) for one in new])


def _returned(one: Return) -> Movement:
    return Movement(one.item_id, "returned", one.quantity, "order", f"refund {one.refund_id}", one.order_id)
