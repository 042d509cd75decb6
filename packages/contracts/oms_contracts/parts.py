"""What events are made of: the types of their fields, and the things that they are about."""

from typing import Annotated

from pydantic import Field, StrictInt

from oms_contracts.envelope import Message
from oms_contracts.scalars import WHOLE

Identifier = Annotated[str, Field(min_length=1, max_length=64)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
GatewayId = Annotated[str, Field(min_length=1, max_length=255, description="What the payment gateway calls it by")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code")]
Minor = Annotated[StrictInt, Field(ge=0, description="An amount in minor units (cents) of the currency"), WHOLE]
Positive = Annotated[StrictInt, Field(ge=1, description="An amount in minor units (cents) of the currency"), WHOLE]
Count = Annotated[StrictInt, Field(ge=1), WHOLE]

ERASED = "(erased)"  # what an order says in place of a customer's name and addresses, once they are erased


class Customer(Message):
    """Whom to notify. `phone_e164` is there when it could be derived from the number as the customer wrote it."""

    name: Text
    email: Text
    phone_number: Text
    phone_e164: str | None = None

    @property
    def is_erased(self) -> bool:
        """Whether nobody knows any more who it was, so that there is nobody to notify."""
        return self.email == ERASED


class Line(Message):
    """One item of an order at the price of the moment when the order was accepted."""

    item_id: Identifier
    name: Text
    quantity: Count
    unit_price: Minor


class PaymentMethod(Message):
    """A card as the gateway's token. The number and the cvv never get this far."""

    token: GatewayId
    brand: Text
    last4: Annotated[str, Field(min_length=4, max_length=4)]
    expiry: Text


class Shortage(Message):
    """What was asked of an item, and what was there."""

    item_id: Identifier
    requested: Count
    available: Annotated[StrictInt, Field(ge=0), WHOLE]


class RefundedLine(Message):
    """How much of which item of an order is refunded."""

    item_id: Identifier
    name: Text
    quantity: Count


class Released(Message):
    """What goes back to the stock of an item."""

    item_id: Identifier
    quantity: Count
