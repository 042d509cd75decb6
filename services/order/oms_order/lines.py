"""The items of a request, with their quantities."""

from typing import Annotated

from pydantic import Field, StringConstraints

from oms_chassis.http.bodies import PRINTABLE, Body
from oms_contracts.scalars import WHOLE

MAX_LINES = 100
MAX_QUANTITY = 10_000
MAX_TOTAL = 10**15  # minor units: far beyond any order, far below what a bigint holds
ItemId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=PRINTABLE)]


class ItemBody(Body):
    """An item and its quantity."""

    id: ItemId
    quantity: Annotated[int, Field(ge=1, le=MAX_QUANTITY), WHOLE]
