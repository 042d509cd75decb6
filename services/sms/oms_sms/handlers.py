"""What the SMS Service makes of an order's end: a text to the customer."""

from oms_contracts.events import OrderEvent
from oms_notifications.delivery import Notice
from oms_notifications.messages import Kind, sms_text
from oms_sms import domain


def compose(kind: Kind, order: OrderEvent) -> Notice:
    """The text about an order that ended in this way."""
    return Notice(order.order_id, kind, domain.number(order.customer), sms_text(kind, order))
