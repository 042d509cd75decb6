"""Composes the text to the customer about an order's outcome."""

from oms_contracts.events import OrderEvent
from oms_notifications.messages import Kind, sms_text
from oms_notifications.notice import Notice


def compose(kind: Kind, order: OrderEvent) -> Notice:
    """Return the text about an order's outcome. It has no recipient if the customer's number is unknown."""
    return Notice(order.order_id, kind, order.customer.phone_e164 or "", sms_text(kind, order))
