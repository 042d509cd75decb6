"""The requests and responses of the routes. Amounts are in minor units of the service's currency."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from oms_chassis.http import cardnumbers
from oms_chassis.http.bodies import PRINTABLE, Body, View, visible
from oms_chassis.statements import Row
from oms_contracts.scalars import WHOLE

IdText = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
NewId = Annotated[IdText, AfterValidator(cardnumbers.without_in_id)]  # those that are there are found whatever they are
# It is copied into orders, events and messages.
Text = Annotated[
    str,
    Field(min_length=1, max_length=200, pattern=PRINTABLE),
    AfterValidator(visible),
    AfterValidator(cardnumbers.without),
]
Price = Annotated[int, Field(ge=1, le=1_000_000_000), WHOLE]
Quantity = Annotated[int, Field(ge=0, le=1_000_000_000), WHOLE]


def _not_zero(value: int) -> int:
    if value == 0:
        raise PydanticCustomError("out-of-range", "must not be 0")
    return value


class ItemBody(Body):
    """PUT /items/{id}. `onHand` is the initial stock of a new item; later, restocking changes it."""

    name: Text
    unit_price: Price
    on_hand: Quantity | None = None


class CatalogueItem(ItemBody):
    """An entry of OMS_CATALOGUE."""

    id: NewId


class RestockBody(Body):
    """POST /items/{id}/restock."""

    quantity: Annotated[int, Field(ge=1, le=1_000_000_000), WHOLE]
    reason: Text | None = None


class CorrectBody(Body):
    """POST /items/{id}/correct: what was counted, broken or found. The quantity may be negative."""

    quantity: Annotated[
        int,
        Field(ge=-1_000_000_000, le=1_000_000_000, json_schema_extra={"not": {"const": 0}}),
        WHOLE,
        AfterValidator(_not_zero),
    ]
    reason: Text


class MovementView(View):
    """A change of stock: `initial`, `restocked`, `reserved`, `released`, `returned` or `corrected`; or `carried`, the
    sum that deleted orders had taken."""

    kind: str
    quantity: int
    order_id: str | None = None
    who: str | None = None
    why: str | None = None
    at: datetime | None = None


class DifferenceView(View):
    """An item whose stock is not the sum of its movements."""

    id: str
    on_hand: int
    counted: int


class ItemView(View):
    """The present state of an item."""

    id: str
    name: str
    unit_price: int
    currency: str
    on_hand: int
    available: bool
    version: int

    @classmethod
    def of(cls, row: Row, **more: object) -> Self:
        """From a row of the table. An item is available while its stock is above 0."""
        return super().of(row, available=row.on_hand > 0, **more)
