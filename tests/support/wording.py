"""Messages as customers get them, written by hand: each has a subject and a text for an email, and one for an SMS."""

from dataclasses import dataclass
from email.message import EmailMessage
from uuid import uuid4


@dataclass(frozen=True)
class Wording:
    """The texts about an order; `{}` is its id."""

    subject: str
    mail: str
    text: str


CONFIRMED = Wording(
    "Your order is confirmed",
    "Hello,\n\nthank you for your order. Your payment went through and your items are reserved:\n\nOrder {}\n",
    "Your order {} is confirmed. Total: USD 2.00. Thank you!",
)
DECLINED = Wording(
    "Your order could not be paid",
    "Hello,\n\nwe could not complete the payment of USD 2.00, so we have cancelled your order. You were not charged."
    "\n\nOrder {}\n",
    "Your order {} was cancelled: the payment did not go through. You were not charged.",
)
OUT_OF_STOCK = Wording(
    "Your order is out of stock",
    "Hello,\n\nwe are sorry: we do not have enough of what you ordered, so we have cancelled your order.\n\n"
    "We are refunding USD 2.00 to your card.\n\nOrder {}\n",
    "Your order {} was cancelled: not enough stock. We are refunding USD 2.00.",
)
CANCELLED = Wording(
    "Your order is cancelled",
    "Hello,\n\nwe have cancelled your order, as you asked.\n\n"
    "If your card was charged for it, all of that goes back to the card.\n\nOrder {}\n",
    "Your order {} is cancelled, as you asked. Whatever you paid goes back to your card.",
)
REFUNDED = Wording(
    "Your refund is on its way",
    "Hello,\n\nwe have refunded USD 1.00 of your order to your card.\n\nOrder {}\n",
    "We have refunded USD 1.00 of your order {} to your card.",
)


def mail(order_id: str, wording: Wording, to: str) -> EmailMessage:
    """Return an email about an order."""
    written = EmailMessage()
    written["X-Order-Id"], written["Message-ID"] = order_id, f"<{uuid4().hex}@oms.example>"
    written["From"], written["To"], written["Subject"] = "orders@oms.example", to, wording.subject
    written.set_content(wording.mail.format(order_id))
    return written


def text(order_id: str, wording: Wording, to: str) -> dict[str, str]:
    """Return an SMS about an order, in the provider's form."""
    return {"to": to, "from": "OMS", "text": wording.text.format(order_id), "reference": order_id}
