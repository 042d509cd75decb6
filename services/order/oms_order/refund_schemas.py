"""The requests and responses of the refund routes. Amounts are in minor units of the order's currency."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import ConfigDict, Field

from oms_chassis.http.bodies import Body, Remark, View
from oms_chassis.http.problems import InvalidRequest
from oms_chassis.laterreleases import extensible
from oms_contracts.scalars import WHOLE
from oms_order.lines import MAX_LINES, MAX_TOTAL, ItemBody
from oms_order.refunds import RefundStatus

# Exactly one of the two is required: this is for the JSON Schema, and `check` enforces it.
_EITHER: dict[str, Any] = {
    "oneOf": [
        {"required": ["lines"], "properties": {"lines": {"type": "array"}, "amount": {"type": "null"}}},
        {
            "required": ["amount"],
            "properties": {
                "amount": {"type": "integer"},
                "lines": {"type": "null"},
                "restock": {"enum": [False]},
            },
        },
    ]
}


class RefundBody(Body):
    """What to refund: lines of the order, at the price that was paid for them, or an amount. With `restock`, the lines
    go back into the stock."""

    model_config = ConfigDict(json_schema_extra=_EITHER)

    lines: Annotated[list[ItemBody], Field(min_length=1, max_length=MAX_LINES)] | None = None
    amount: Annotated[int, Field(ge=1, le=MAX_TOTAL), WHOLE] | None = None
    restock: bool = False
    reason: Remark | None = None

    def check(self) -> None:
        """Raise InvalidRequest unless it is for lines or for an amount."""
        if (self.lines is None) == (self.amount is None):
            message = "is required, or amount is" if self.lines is None else "cannot go with amount"
            raise InvalidRequest(("lines", message), ("amount", message.replace("amount", "lines")))
        if self.restock and self.lines is None:
            raise InvalidRequest(("restock", "goes with lines only"))


class RefundedView(View):
    """A line of a refund."""

    id: str
    quantity: int


class RefundView(View):
    """A refund of an order. `failure` is why it failed; `actor` is the caller that requested it, if callers are
    authenticated."""

    id: UUID
    status: Annotated[str, extensible(RefundStatus)]
    amount: int
    lines: list[RefundedView]
    restock: bool
    reason: str | None = None
    failure: str | None = None
    actor: str | None = None
    requested_at: datetime
    settled_at: datetime | None = None
