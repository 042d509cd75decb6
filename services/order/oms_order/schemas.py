"""The requests and responses of the order routes. Amounts are integers in minor units of the currency.

Messages name a field and say what it must be; none of them repeats what was sent.
"""

import re
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from oms_chassis.http import cardnumbers, pasted
from oms_chassis.http.bodies import PRINTABLE, Body, Remark, View, visible
from oms_chassis.laterreleases import extensible
from oms_chassis.statements import Row
from oms_order import emails, phones
from oms_order.domain import Reason, Status
from oms_order.lines import MAX_LINES, ItemBody
from oms_order.refund_schemas import RefundView
from oms_order.refunds import RefundStatus

_EXPIRY = r"^(0[1-9]|1[0-2])/[0-9]{2}$"
_NUMBER = r"^[0-9](?:[ -]?[0-9]){3,18}$"
_CVV = r"^[0-9]{3,4}$"


def _expiry(value: str) -> str:
    plain = pasted.plain(value).strip()
    if not re.fullmatch(_EXPIRY, plain):
        raise PydanticCustomError("bad-expiry", "must be a month and a year as MM/YY")
    return plain


def _card_number(value: SecretStr) -> SecretStr:
    plain = _plain(value)
    if not re.fullmatch(_NUMBER, plain):
        raise PydanticCustomError("bad-card-number", "must be 4 to 19 digits")
    return SecretStr(plain)


def _cvv(value: SecretStr) -> SecretStr:
    plain = _plain(value)
    if not re.fullmatch(_CVV, plain):
        raise PydanticCustomError("bad-cvv", "must be 3 or 4 digits")
    return SecretStr(plain)


def _plain(value: SecretStr) -> str:
    return pasted.plain(value.get_secret_value()).strip()


def _secret_schema(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "format": "password", "writeOnly": True, "pattern": pattern})


Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=PRINTABLE),
    AfterValidator(visible),
    AfterValidator(cardnumbers.without),
]
Email = Annotated[
    str,
    Field(max_length=emails.LONGEST),
    AfterValidator(emails.checked),
    AfterValidator(cardnumbers.without),
    WithJsonSchema({"type": "string", "format": "email"}),
]
Phone = Annotated[
    str,
    Field(max_length=32, examples=["762222222", "+94 76 222 2222"]),
    AfterValidator(phones.cleaned),
    AfterValidator(cardnumbers.without),
]
Expiry = Annotated[str, Field(max_length=32, json_schema_extra={"pattern": _EXPIRY}), AfterValidator(_expiry)]
CardNumber = Annotated[SecretStr, AfterValidator(_card_number), _secret_schema(_NUMBER)]
Cvv = Annotated[SecretStr, AfterValidator(_cvv), _secret_schema(_CVV)]
StatusShown = Annotated[str, extensible(Status)]
ReasonShown = Annotated[str, extensible(Reason)]


class CustomerBody(Body):
    """Whom to notify about the order."""

    name: Name
    email: Email
    phone_number: Phone


class PaymentBody(Body):
    """The card to charge. It is exchanged for a token at once; number and cvv are never stored."""

    name: Name
    card_number: CardNumber
    expiry_date: Expiry
    cvv: Cvv


class OrderBody(Body):
    """An order as a customer places it."""

    customer: CustomerBody
    items: Annotated[list[ItemBody], Field(min_length=1, max_length=MAX_LINES)]
    payment_details: PaymentBody


class CancelBody(Body):
    """Why an order is cancelled, in the customer's words."""

    reason: Remark | None = None


class Accepted(View):
    """The answer to an accepted order."""

    id: str
    status: StatusShown
    total: int
    currency: str
    placed_at: datetime


class CustomerView(View):
    """The customer who is notified. `phoneE164` is present if it could be derived from the number."""

    name: str
    email: str
    phone_number: str
    phone_e164: str | None = None


class OrderSummary(View):
    """An order in a list."""

    id: str
    status: StatusShown
    reason: ReasonShown | None = None
    customer: CustomerView
    total: int
    currency: str
    placed_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: Row, **more: object) -> Self:
        """From a row of the table."""
        return super().of(row, id=str(row.id), customer=CustomerView.of(row, phone_number=row.phone), **more)


class LineView(View):
    """An item of an order, at the price that it had when the order was accepted."""

    item_id: str
    name: str
    quantity: int
    unit_price: int


class PaymentView(View):
    """What a customer recognises the card by."""

    brand: str
    last4: str
    expiry_date: str


class StepView(View):
    """A status that the order has reached, and when; or a status of its refund `refund_id` (the order's own id for
    the whole amount of a cancelled order); or the dispute `dispute_id`, in which the customer's bank has taken back
    `disputed`. `actor` is the caller whose request led to the step, if one did."""

    position: int
    status: StatusShown
    reason: ReasonShown | None = None
    note: str | None = None
    at: datetime
    actor: str | None = None
    refund_id: UUID | None = None
    refund_status: Annotated[str, extensible(RefundStatus)] | None = None
    dispute_id: str | None = None
    disputed: int | None = None


class OrderDetail(OrderSummary):
    """An order with its lines and its timeline. If a refund was requested, `refunds` has all of them, whatever their
    outcome, and `refunded` is the amount that has been returned."""

    lines: list[LineView]
    payment: PaymentView
    timeline: list[StepView]
    refunds: list[RefundView] | None = None
    refunded: int | None = None

    @classmethod
    def of(cls, row: Row, **more: object) -> Self:
        """From a row of the table with its `lines` and its `timeline`."""
        payment = PaymentView(brand=row.card_brand, last4=row.card_last4, expiry_date=row.card_expiry)
        return super().of(row, payment=payment, **more)
