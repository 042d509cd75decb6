"""Composes the email to the customer about an order's outcome."""

from oms_contracts.events import OrderEvent
from oms_notifications.messages import Kind, email_subject, email_text
from oms_notifications.notice import Notice


def compose(kind: Kind, order: OrderEvent) -> Notice:
    """Return the email about an order's outcome."""
    return Notice(order.order_id, kind, order.customer.email, email_text(kind, order), email_subject(kind))
