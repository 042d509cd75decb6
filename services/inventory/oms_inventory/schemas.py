"""What goes in and out by HTTP. Amounts are in minor units of the service's currency."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

IdText = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
# Something visible, and no control character: Postgres does not take a NUL in any text.
_VISIBLE = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=_VISIBLE)]
Price = Annotated[int, Field(ge=1, le=1_000_000_000)]
Quantity = Annotated[int, Field(ge=0, le=1_000_000_000)]


class Body(BaseModel):
    """The base of requests: nothing unknown, nothing converted, nothing repeated in an error."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, hide_input_in_errors=True)


class ItemBody(Body):
    """PUT /items/{id}. `onHand` is the stock that a new item begins with; restocking changes it afterwards."""

    name: Name
    unit_price: Price
    on_hand: Quantity | None = None


class CatalogueItem(ItemBody):
    """An entry of OMS_CATALOGUE."""

    id: IdText


class RestockBody(Body):
    """POST /items/{id}/restock."""

    quantity: Annotated[int, Field(ge=1, le=1_000_000_000)]


class ItemView(BaseModel):
    """An item as it stands."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    id: str
    name: str
    unit_price: int
    currency: str
    on_hand: int
    available: bool
    version: int

    @classmethod
    def of(cls, row: Any) -> Self:
        """From a row of the table."""
        return cls(
            id=row.id,
            name=row.name,
            unit_price=row.unit_price,
            currency=row.currency,
            on_hand=row.on_hand,
            available=row.on_hand > 0,
            version=row.version,
        )
