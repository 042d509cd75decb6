"""The routes for stock: corrections, movements, and whether they add up."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from oms_chassis.http import pages
from oms_chassis.http.documents import headed
from oms_chassis.http.identity.requirements import Needs
from oms_chassis.http.pages import BadCursor
from oms_chassis.http.problems import OutcomeUnknown, Unavailable, documented
from oms_inventory import catalogue
from oms_inventory.api import REPLAYED, Database, ItemId, Key, MayWrite, Wanted, own_key, replayed
from oms_inventory.catalogue import StockChange
from oms_inventory.problems import IdempotencyKeyReused, ItemChanged, ItemNotFound, StockTooLow
from oms_inventory.schemas import CorrectBody, DifferenceView, ItemView, MovementView

router = APIRouter(tags=["stock"])
Limit = Annotated[int, Query(ge=1, le=1000), pages.DIGITS]
WRITERS_ONLY = [Depends(Needs("items:write"))]  # movements name people, so only those who may make them may read them


@router.post(
    "/items/{item_id}/correct",
    summary="Correct an item's stock",
    responses={
        200: REPLAYED,
        **documented(ItemNotFound, ItemChanged, StockTooLow, IdempotencyKeyReused, Unavailable, OutcomeUnknown),
    },
)
def correct_item(
    database: Database,
    caller: MayWrite,
    response: Response,
    item_id: ItemId,
    body: CorrectBody,
    wanted: Wanted,
    key: Key = None,
) -> ItemView:
    """Adds the quantity to the stock, because of what was counted, found or broken; it may be negative. With an
    Idempotency-Key, a repeated request changes nothing. With `If-Match`, the item must not have changed at all, so that
    nobody has bought it since."""
    kept = f"correct {own_key(key, caller)}" if key else None
    change = StockChange(item_id, body.quantity, caller.shown, body.reason, kept, wanted)
    return replayed(response, catalogue.correct(database, change))


@router.get(
    "/items/{item_id}/movements",
    response_model_exclude_none=True,
    summary="List an item's movements, newest first",
    dependencies=WRITERS_ONLY,
    responses=documented(ItemNotFound, Unavailable),
)
def list_movements(database: Database, item_id: ItemId, limit: Limit = 100) -> list[MovementView]:
    """All changes of an item's stock, with who made them and why. Their sum is the stock on hand."""
    return catalogue.movements(database, item_id, limit)


@router.get(
    "/stock/differences",
    summary="List the items whose stock is not the sum of their movements",
    dependencies=WRITERS_ONLY,
    responses={200: headed("Link"), **documented(BadCursor, Unavailable)},
)
def list_differences(
    database: Database,
    response: Response,
    limit: Limit = 100,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> list[DifferenceView]:
    """Checks the first `limit` items by id; the list is empty if their stock adds up. If there are more items, the Link
    header has the URL of the next page. Reads all movements of these items: if that takes too long, ask for fewer."""
    found, following = catalogue.differences(database, limit, cursor)
    if following is not None:
        response.headers["Link"] = pages.next_link("/stock/differences", {"limit": limit}, following)
    return found
