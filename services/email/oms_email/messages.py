"""What the Email Service makes of an order's end: an email to the customer."""

from oms_contracts.events import OrderEvent
from oms_notifications.messages import Kind, email_subject, email_text
from oms_notifications.notice import Notice


def compose(kind: Kind, order: OrderEvent) -> Notice:
    """The email about an order that ended in this way."""
    return Notice(order.order_id, kind, order.customer.email, email_text(kind, order), email_subject(kind))
