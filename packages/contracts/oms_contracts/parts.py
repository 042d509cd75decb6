"""The parts of events: the types of their fields, and the things that they are about."""

from typing import Annotated

from pydantic import Field, StrictInt

from oms_contracts.envelope import Message
from oms_contracts.scalars import WHOLE

Identifier = Annotated[str, Field(min_length=1, max_length=64)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
GatewayId = Annotated[str, Field(min_length=1, max_length=255, description="The payment gateway's id")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code")]
Minor = Annotated[StrictInt, Field(ge=0, description="An amount in minor units (cents) of the currency"), WHOLE]
Positive = Annotated[StrictInt, Field(ge=1, description="An amount in minor units (cents) of the currency"), WHOLE]
Count = Annotated[StrictInt, Field(ge=1), WHOLE]

ERASED = "(erased)"  # replaces a customer's name and addresses in orders when they are erased


class Customer(Message):
    """Whom to notify. `phone_e164` is present if it could be derived from the number as the customer wrote it."""

    name: Text
    email: Text
    phone_number: Text
    phone_e164: str | None = None

    @property
    def is_erased(self) -> bool:
        """Whether the customer was erased, so that there is nobody to notify."""
        return self.email == ERASED


class Line(Message):
    """One item of an order, at the price that it had when the order was accepted."""

    item_id: Identifier
    name: Text
    quantity: Count
    unit_price: Minor


class PaymentMethod(Message):
    """A card, by the gateway's token. Its number and cvv never get this far."""

    token: GatewayId
    brand: Text
    last4: Annotated[str, Field(min_length=4, max_length=4)]
    expiry: Text


class Shortage(Message):
    """How much of an item was requested, and how much was available."""

    item_id: Identifier
    requested: Count
    available: Annotated[StrictInt, Field(ge=0), WHOLE]


class RefundedLine(Message):
    """An item of an order that is refunded, with its quantity."""

    item_id: Identifier
    name: Text
    quantity: Count


class Released(Message):
    """An item with the quantity that goes back into its stock."""

    item_id: Identifier
    quantity: Count
