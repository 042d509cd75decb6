"""What the HTTP interface takes and gives. Names are camelCase; amounts are integers in minor units of the currency.

Requests are strict: no value is converted, no unknown field is passed over. Messages name a field and say what it must
be; none of them repeats what was sent.
"""

import re
from datetime import datetime
from typing import Annotated

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from oms_order import phones
from oms_order.domain import Reason, Status

MAX_LINES = 100
MAX_QUANTITY = 10_000
MAX_EMAIL = 200

# Control characters have no place in a name, and Postgres does not take a NUL in any text.
_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
# Nearly every address has this form, and is told apart in a tenth of the time that the library takes for it.
_EVERYDAY_EMAIL = re.compile(
    r"^(?P<local>[a-z0-9]+(?:[._+-][a-z0-9]+)*)@(?:(?=[a-z0-9-]{1,63}\.)[a-z0-9]+(?:-[a-z0-9]+)*\.)+(?P<last>[a-z]{2,24})\Z"
)
_SPECIAL_USE = {name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES}
_EXPIRY = r"^(0[1-9]|1[0-2])/[0-9]{2}$"
_NUMBER = r"^[0-9](?:[ -]?[0-9]){3,18}$"
_CVV = r"^[0-9]{3,4}$"


def _email(value: str) -> str:
    everyday = _EVERYDAY_EMAIL.match(value)
    if everyday and everyday["last"] not in _SPECIAL_USE and len(everyday["local"]) <= 64:
        return value
    try:
        normal = validate_email(value, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise PydanticCustomError("bad-email", "must be an email address") from error
    if len(normal) > MAX_EMAIL:  # which may be longer than what was sent: a ligature becomes its letters
        raise PydanticCustomError(
            "bad-email", "must be an email address of at most {most} characters", {"most": MAX_EMAIL}
        )
    return normal


def _expiry(value: str) -> str:
    if not re.fullmatch(_EXPIRY, value):
        raise PydanticCustomError("bad-expiry", "must be a month and a year as MM/YY")
    return value


def _card_number(value: SecretStr) -> SecretStr:
    if not re.fullmatch(_NUMBER, value.get_secret_value()):
        raise PydanticCustomError("bad-card-number", "must be 4 to 19 digits")
    return value


def _cvv(value: SecretStr) -> SecretStr:
    if not re.fullmatch(_CVV, value.get_secret_value()):
        raise PydanticCustomError("bad-cvv", "must be 3 or 4 digits")
    return value


def _secret_schema(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "format": "password", "writeOnly": True, "pattern": pattern})


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=_PRINTABLE)]
Email = Annotated[
    str, Field(max_length=MAX_EMAIL), AfterValidator(_email), WithJsonSchema({"type": "string", "format": "email"})
]
Phone = Annotated[str, Field(max_length=32, examples=["762222222", "+94 76 222 2222"]), AfterValidator(phones.cleaned)]
ItemId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=_PRINTABLE)]
Expiry = Annotated[str, Field(max_length=5, json_schema_extra={"pattern": _EXPIRY}), AfterValidator(_expiry)]
CardNumber = Annotated[SecretStr, AfterValidator(_card_number), _secret_schema(_NUMBER)]
Cvv = Annotated[SecretStr, AfterValidator(_cvv), _secret_schema(_CVV)]


class Body(BaseModel):
    """The base of what is sent to us."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", strict=True, frozen=True, hide_input_in_errors=True
    )


class CustomerBody(Body):
    """Whom to tell how the order goes."""

    name: Name
    email: Email
    phone_number: Phone


class ItemBody(Body):
    """How much of which item."""

    id: ItemId
    quantity: Annotated[int, Field(ge=1, le=MAX_QUANTITY)]


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


class View(BaseModel):
    """The base of what we answer."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True)


class Accepted(View):
    """The answer to an order that was taken."""

    id: str
    status: Status
    total: int
    currency: str
    placed_at: datetime


class CustomerView(View):
    """Whom we tell. `phoneE164` is there where it could be derived."""

    name: str
    email: str
    phone_number: str
    phone_e164: str | None = None


class OrderSummary(View):
    """An order in a list."""

    id: str
    status: Status
    reason: Reason | None = None
    customer: CustomerView
    total: int
    currency: str
    placed_at: datetime
    updated_at: datetime


class LineView(View):
    """An item of an order, at the price of the moment when the order was accepted."""

    item_id: str
    name: str
    quantity: int
    unit_price: int


class PaymentView(View):
    """What a customer recognises a card by."""

    brand: str
    last4: str
    expiry_date: str


class StepView(View):
    """A status that an order has had, and since when."""

    position: int
    status: Status
    reason: Reason | None = None
    at: datetime


class OrderDetail(OrderSummary):
    """An order with its lines and its timeline."""

    lines: list[LineView]
    payment: PaymentView
    timeline: list[StepView]
