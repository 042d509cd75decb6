"""What each event says. Changes are additive only: readers ignore what they do not know (docs/architecture.md)."""

from typing import Annotated

from pydantic import Field, StrictBool

from oms_contracts.envelope import Message, Moment
from oms_contracts.parts import (
    Count,
    Currency,
    Customer,
    GatewayId,
    Identifier,
    Line,
    Minor,
    PaymentMethod,
    Positive,
    RefundedLine,
    Released,
    Shortage,
    Text,
)

# Reasons of a PaymentFailed that are not the card's: the gateway could not be reached, or would not take the request.
GATEWAY_UNAVAILABLE = "gateway-unavailable"
GATEWAY_REFUSED = "gateway-refused"
# More reasons of a RefundFailed: the gateway took the refund, and the customer's bank did not, or sent it back; or this
# has come so often that the gateway is asked for it no more.
GATEWAY_FAILED = "gateway-failed"
FAILED_TOO_OFTEN = "failed-too-often"
GATEWAY_FAULTS = frozenset({GATEWAY_UNAVAILABLE, GATEWAY_REFUSED})
# Reasons of an OrderCancelled: its customer asked for it, or it waited for too long. Later releases may have others.
CUSTOMER = "customer"
TIMED_OUT = "timed-out"


class OfOrder(Message):
    """The base of every event whose subject is an order."""

    order_id: Identifier

    @property
    def about(self) -> str:
        """The event's subject."""
        return self.order_id


class OrderEvent(OfOrder):
    """What every event about an order carries, so that no reader has to ask another service."""

    customer: Customer
    lines: Annotated[list[Line], Field(min_length=1)]
    total: Minor
    currency: Currency


class OrderCreated(OrderEvent):
    """An order was accepted: it is to be paid."""

    payment: PaymentMethod
    placed_at: Moment


class PaymentCompleted(OrderEvent):
    """The charge settled: stock is to be taken."""

    payment_id: GatewayId


class PaymentFailed(OrderEvent):
    """The gateway declined the charge, or gave up on it: the order ends."""

    reason: Text


class InventoryUpdated(OrderEvent):
    """Stock was reserved: the order is confirmed."""


class InventoryRejected(OrderEvent):
    """There was not enough stock: the charge is to be refunded, and the order ends."""

    shortages: Annotated[list[Shortage], Field(min_length=1)]


class OrderCancelled(OrderEvent):
    """The customer cancelled the order, or it waited for too long: its money is to go back, and its stock, too.

    `again` is whether the order was published to be cancelled before, and some answer to that has not come.
    """

    reason: Text
    again: StrictBool | None = None


class PaymentRefunded(OfOrder):
    """The refund settled; the amount is 0 if the order was never charged, and now cannot be."""

    refund_id: GatewayId
    amount: Minor
    currency: Currency


class RefundEvent(OfOrder):
    """What every event about a refund of a confirmed order carries. The order stays what it is."""

    refund_id: Identifier
    amount: Positive
    currency: Currency


class OrderRefundRequested(RefundEvent):
    """A part of a confirmed order, or all of it, is to be refunded: these lines of it, or an amount without any.

    With `restock`, the lines have come back, and go into the stock. An event that comes again, under another id, asks
    for an answer that has not come; with `failed`, the answer was that it has failed, and it is asked whether that is
    still so: nothing is made of it.
    """

    lines: list[RefundedLine]
    restock: StrictBool
    failed: StrictBool | None = None


class RefundOutcome(RefundEvent):
    """What has become of a refund. A bank may send back what had succeeded, and an operator may have it made once more:
    of two outcomes, the one with the higher number counts, whichever comes first. One without a number is of a release
    that numbered none: it is older than all that have one."""

    outcome: Count | None = None


class RefundCompleted(RefundOutcome):
    """The money is back where it came from; `reference` is what the gateway, or an operator, calls it by. Of an order
    that is cancelled, it follows a RefundFailed, and `refund_id` is the order's id."""

    reference: GatewayId


class RefundFailed(RefundOutcome):
    """No money moved, or it came back, and none will unless an operator sees to it. Of an order that is cancelled, all
    of whose money is to go back, `refund_id` is the order's id."""

    reason: Text


class ChargeDisputed(OfOrder):
    """The customer's bank has taken this much of the order's charge back by itself; `dispute_id` is what the gateway
    calls that by. The order stays what it is."""

    dispute_id: GatewayId
    amount: Positive
    currency: Currency


class OrderRefunded(OrderEvent):
    """A refund is completed: the customer is notified. `refunded` is what it was for, if it was for lines."""

    refund_id: Identifier
    amount: Positive
    refunded: list[RefundedLine]


class InventoryReleased(OfOrder):
    """A cancelled order holds no stock, and gets none any more; `released` is what it had held."""

    released: list[Released]


class ItemUpdated(Message):
    """An item's name, price or availability changed. A reader keeps the highest `version` that it saw."""

    item_id: Identifier
    name: Text
    unit_price: Minor
    currency: Currency
    available: StrictBool
    version: Count

    @property
    def about(self) -> str:
        """The event's subject."""
        return self.item_id
