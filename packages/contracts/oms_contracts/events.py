"""The data of each event. Changes are additive only: readers ignore unknown fields (docs/architecture.md)."""

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

# Reasons of a PaymentFailed that are not the card's: the gateway was unreachable, or did not accept the request.
GATEWAY_UNAVAILABLE = "gateway-unavailable"
GATEWAY_REFUSED = "gateway-refused"
# More reasons of a RefundFailed: the gateway accepted the refund, but the customer's bank did not, or sent it back; or
# this has happened so often that the gateway is no longer asked to make it.
GATEWAY_FAILED = "gateway-failed"
FAILED_TOO_OFTEN = "failed-too-often"
GATEWAY_FAULTS = frozenset({GATEWAY_UNAVAILABLE, GATEWAY_REFUSED})
# Reasons of an OrderCancelled: its customer asked for it, or it waited too long. Later releases may have others.
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
    """What every event about an order contains, so that no reader has to ask another service."""

    customer: Customer
    lines: Annotated[list[Line], Field(min_length=1)]
    total: Minor
    currency: Currency


class OrderCreated(OrderEvent):
    """An order was accepted: payment charges the card."""

    payment: PaymentMethod
    placed_at: Moment


class PaymentCompleted(OrderEvent):
    """The charge succeeded: inventory reserves the stock."""

    payment_id: GatewayId


class PaymentFailed(OrderEvent):
    """The gateway declined the charge, or payment gave it up: the order ends."""

    reason: Text


class InventoryUpdated(OrderEvent):
    """Stock was reserved: the order is confirmed."""


class InventoryRejected(OrderEvent):
    """There was not enough stock: payment refunds the charge, and the order ends."""

    shortages: Annotated[list[Shortage], Field(min_length=1)]


class OrderCancelled(OrderEvent):
    """The customer cancelled the order, or it waited too long: payment gives back its money, inventory its stock.

    `again` means that this was published before, and that an answer is missing.
    """

    reason: Text
    again: StrictBool | None = None


class PaymentRefunded(OfOrder):
    """The refund succeeded. The amount is 0 if the order was never charged, and now cannot be."""

    refund_id: GatewayId
    amount: Minor
    currency: Currency


class RefundEvent(OfOrder):
    """What every event about a refund of a confirmed order contains. The order's status does not change."""

    refund_id: Identifier
    amount: Positive
    currency: Currency


class OrderRefundRequested(RefundEvent):
    """A refund of a confirmed order was requested: of these lines of it, or of an amount without lines.

    With `restock`, the lines were returned, and go back into the stock. A repetition under another event id asks for an
    answer that is missing. With `failed`, the answer was that the refund has failed; the event only asks whether that
    is still so, and does not start a refund.
    """

    lines: list[RefundedLine]
    restock: StrictBool
    failed: StrictBool | None = None


class RefundOutcome(RefundEvent):
    """The outcome of a refund. There may be several: a bank may send the money of a successful refund back, and an
    operator may retry it. The outcome with the highest number counts, whatever the order of arrival. One without a
    number comes from a release that did not number them, and is older than any with a number."""

    outcome: Count | None = None


class RefundCompleted(RefundOutcome):
    """The money is back where it came from. `reference` is the gateway's id of the refund, or an operator's. For a
    cancelled order, this follows a RefundFailed, and `refund_id` is the order's id."""

    reference: GatewayId


class RefundFailed(RefundOutcome):
    """No money moved, or it was sent back, and an operator has to act. For a cancelled order, whose whole amount is
    refunded, `refund_id` is the order's id."""

    reason: Text


class ChargeDisputed(OfOrder):
    """The customer's bank has taken this much of the order's charge back by itself. `dispute_id` is the gateway's id of
    that. The order's status does not change."""

    dispute_id: GatewayId
    amount: Positive
    currency: Currency


class OrderRefunded(OrderEvent):
    """A refund succeeded: the customer is notified. `refunded` has its lines, if it was for lines."""

    refund_id: Identifier
    amount: Positive
    refunded: list[RefundedLine]


class InventoryReleased(OfOrder):
    """A cancelled order holds no stock, and gets none any more. `released` is what it had held."""

    released: list[Released]


class ItemUpdated(Message):
    """An item's name, price or availability changed. A reader keeps the highest `version` that it has seen."""

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
