"""What the SMS Service makes of an order's end: a text to the customer."""

from oms_contracts.events import OrderEvent
from oms_notifications.messages import Kind, sms_text
from oms_notifications.notice import Notice


def compose(kind: Kind, order: OrderEvent) -> Notice:
    """The text about an order that ended in this way; to nobody if no number is known to be the customer's."""
    return Notice(order.order_id, kind, order.customer.phone_e164 or "", sms_text(kind, order))
