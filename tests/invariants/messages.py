"""Says which messages a customer must have received in the end, and what a message says, by its actual wording."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

CONFIRMED, DECLINED, OUT_OF_STOCK = "confirmed", "declined", "out-of-stock"
CANCELLED, REFUNDED, NOTHING = "cancelled", "refunded", "nothing known"
CANCELLATIONS = frozenset({DECLINED, OUT_OF_STOCK, CANCELLED})
CALLED_OFF = frozenset({"customer", "timed-out"})  # reasons of orders that were stopped, at whichever step
_PHRASES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "email": {
        CONFIRMED: ("Your order is confirmed\n", "Your payment went through and your items are reserved"),
        DECLINED: ("Your order could not be paid\n", "have cancelled your order", "You were not charged."),
        OUT_OF_STOCK: ("Your order is out of stock\n", "we have cancelled your order", "We are refunding"),
        CANCELLED: ("Your order is cancelled\n", "cancelled", "goes back to the card"),
        REFUNDED: ("Your refund is on its way\n", "we have refunded"),
    },
    "sms": {
        CONFIRMED: (" is confirmed. Total: ",),
        DECLINED: (" was cancelled: ", "You were not charged."),
        OUT_OF_STOCK: (" was cancelled: not enough stock. We are refunding ",),
        CANCELLED: ("cancelled", "Whatever you paid goes back"),
        REFUNDED: ("We have refunded ",),
    },
}
# The messages that say how an order ended, by its reason. An order that is called off may have ended already in another
# way by then: its customer has then received the message about that, which also says that it is cancelled.
_ENDS = {
    None: frozenset({CONFIRMED}),
    "payment-declined": frozenset({DECLINED}),
    "payment-unavailable": frozenset({DECLINED}),
    "out-of-stock": frozenset({OUT_OF_STOCK}),
}


def said(kind: str, order_id: str, subject: str, text: str) -> str:
    """Return what a message of this kind says about the order that it belongs to."""
    whole = f"{subject}\n{text}"
    found = [what for what, phrases in _PHRASES[kind].items() if all(phrase in whole for phrase in phrases)]
    return found[0] if len(found) == 1 and order_id in text else NOTHING


@dataclass(frozen=True)
class Due:
    """The messages that a customer must have received about an order: one that says how it ended, and one per refund.
    An order that was cancelled after it had its stock may also have been `confirmed` once before."""

    ends: frozenset[str]
    refunds: int
    confirmed: bool

    @classmethod
    def of(cls, *, has_ended: bool, reason: str | None, had_stock: bool, refunds: int) -> "Due":
        """Return the messages that are due after this outcome of an order."""
        ends = _ENDS.get(reason, CANCELLATIONS) if has_ended else frozenset[str]()
        return cls(ends, refunds, reason in CALLED_OFF and had_stock)

    def is_met(self, got: Counter[str]) -> bool:
        """Whether these messages, counted by what they say, are the ones that are due."""
        ended = sum(got[one] for one in self.ends)
        before = min(got[CONFIRMED], 1) if self.confirmed else 0
        return got[REFUNDED] == self.refunds and (ended, got.total() - ended - got[REFUNDED]) == (
            bool(self.ends),
            before,
        )
