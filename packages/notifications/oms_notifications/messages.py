"""The texts that customers read: one email and one SMS for each way in which an order can end, and for a refund.

The wording promises nothing that the flow does not do, and about a payment it only says that it went through.
"""

import re
from enum import StrEnum
from unicodedata import normalize

from oms_contracts.events import (
    CUSTOMER,
    GATEWAY_FAULTS,
    TIMED_OUT,
    InventoryRejected,
    OrderCancelled,
    OrderEvent,
    OrderRefunded,
    PaymentFailed,
)
from oms_contracts.lines import one_line
from oms_notifications.money import amount


class Kind(StrEnum):
    """What a message is about: how an order ended, or a refund of it."""

    CONFIRMED = "confirmed"
    DECLINED = "declined"
    OUT_OF_STOCK = "out-of-stock"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


# A message of the first kind may follow one of the second about the same order.
FOLLOWS = {Kind.CANCELLED: Kind.CONFIRMED}
_NAME_LIMIT = 40  # characters
# What mail readers turn into a link, in any script, or into a phone number.
_UNLIKE_A_NAME = re.compile(r"[/:@\\\u2044\u2215\u3002]|\.\w|\d\D?\d\D?\d")

_MONEY_BACK = "If your card was charged for it, all of that goes back to the card."
# Other reasons, of a later release, get a neutral wording.
_CANCELLED_SHORTLY = {
    CUSTOMER: "is cancelled, as you asked",
    TIMED_OUT: "was cancelled: it took us too long",
}
_CANCELLED = {
    CUSTOMER: "we have cancelled your order, as you asked.",
    TIMED_OUT: "we are sorry: your order took us too long, so we have cancelled it.",
}
_SUBJECTS = {
    Kind.CONFIRMED: "Your order is confirmed",
    Kind.DECLINED: "Your order could not be paid",
    Kind.OUT_OF_STOCK: "Your order is out of stock",
    Kind.CANCELLED: "Your order is cancelled",
    Kind.REFUNDED: "Your refund is on its way",
}


def email_subject(kind: Kind) -> str:
    """An email's subject line. It contains nothing that was sent to us."""
    return _SUBJECTS[kind]


def email_text(kind: Kind, order: OrderEvent) -> str:
    """An email's text, its lines separated by newlines."""
    paragraphs = [_greeting(order.customer.name), *_body(kind, order), f"Order {_line(order.order_id)}"]
    return "\n\n".join(paragraphs) + "\n"


def sms_text(kind: Kind, order: OrderEvent) -> str:
    """An SMS: a single part (160 characters) with the ids that the Order Service generates."""
    order_id, total = _line(order.order_id), amount(order.total, order.currency)
    match kind:
        case Kind.CONFIRMED:
            return f"Your order {order_id} is confirmed. Total: {total}. Thank you!"
        case Kind.DECLINED if _is_our_fault(order):
            return f"Your order {order_id} was cancelled: we could not take the payment. You were not charged."
        case Kind.DECLINED:
            return f"Your order {order_id} was cancelled: the payment did not go through. You were not charged."
        case Kind.OUT_OF_STOCK:
            return f"Your order {order_id} was cancelled: not enough stock. We are refunding {total}."
        case Kind.CANCELLED:
            end = _CANCELLED_SHORTLY.get(_cancelled_for(order), "was cancelled")
            return f"Your order {order_id} {end}. Whatever you paid goes back to your card."
        case Kind.REFUNDED:
            return f"We have refunded {_refunded(order)} of your order {order_id} to your card."


def _body(kind: Kind, order: OrderEvent) -> list[str]:
    total = amount(order.total, order.currency)
    match kind:
        case Kind.CONFIRMED:
            return [
                "thank you for your order. Your payment went through and your items are reserved:",
                "\n".join(_lines(order)),
                f"Total: {total}",
            ]
        case Kind.DECLINED if _is_our_fault(order):
            return [
                f"we are sorry: by a fault on our side the payment of {total} could not be made. You were not charged.",
                "We have cancelled your order. Your card was not the reason: you are welcome to order again later.",
            ]
        case Kind.DECLINED:
            return [
                f"we could not complete the payment of {total}, so we have cancelled your order. You were not charged.",
                "You are welcome to order again with another card.",
            ]
        case Kind.OUT_OF_STOCK:
            return [
                "we are sorry: we do not have enough of what you ordered, so we have cancelled your order.",
                "\n".join(_shortages(order)),
                f"We are refunding {total} to your card.",
            ]
        case Kind.CANCELLED:
            return [_CANCELLED.get(_cancelled_for(order), "we are sorry: your order was cancelled."), _MONEY_BACK]
        case Kind.REFUNDED:
            return [f"we have refunded {_refunded(order)} of your order to your card.", *_returned(order)]


def _is_our_fault(order: OrderEvent) -> bool:
    """Whether the gateway failed before it looked at the card."""
    return isinstance(order, PaymentFailed) and order.reason in GATEWAY_FAULTS


def _cancelled_for(order: OrderEvent) -> str:
    return order.reason if isinstance(order, OrderCancelled) else ""


def _refunded(order: OrderEvent) -> str:
    return amount(order.amount if isinstance(order, OrderRefunded) else order.total, order.currency)


def _returned(order: OrderEvent) -> list[str]:
    """The refunded lines, if the refund is for lines."""
    lines = order.refunded if isinstance(order, OrderRefunded) else []
    return ["\n".join(f"  {line.quantity} x {_line(line.name)}" for line in lines)] if lines else []


def _lines(order: OrderEvent) -> list[str]:
    return [
        f"  {line.quantity} x {_line(line.name)}: {amount(line.quantity * line.unit_price, order.currency)}"
        for line in order.lines
    ]


def _shortages(order: OrderEvent) -> list[str]:
    shortages = order.shortages if isinstance(order, InventoryRejected) else []
    names = {line.item_id: line.name for line in order.lines}
    return [
        f"  {_line(names.get(one.item_id, one.item_id))}: you asked for {one.requested}, we have {one.available}"
        for one in shortages
    ]


def _greeting(name: str) -> str:
    """A greeting by name, unless the name could carry a message or a link: anybody can order in any name."""
    shown = _line(name)
    return (
        "Hello,"
        if not shown or len(shown) > _NAME_LIMIT or _UNLIKE_A_NAME.search(normalize("NFKC", shown))
        else f"Hello {shown},"
    )


def _line(text: str) -> str:
    """Untrusted text on one line, without unprintable characters or repeated spaces."""
    return " ".join(one_line(text).split())
