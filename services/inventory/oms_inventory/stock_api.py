"""The routes for stock: corrections, movements, and whether they add up."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from oms_chassis.http import pages
from oms_chassis.http.documents import headed
from oms_chassis.http.identity.requirements import Needs
from oms_chassis.http.pages import BadCursor
from oms_chassis.http.problems import OutcomeUnknown, Unavailable, documented
from oms_inventory import catalogue
from oms_inventory.api import REPLAYED, Database, ItemId, Key, Wanted, Writes, own_key, replayed
from oms_inventory.catalogue import StockChange
from oms_inventory.problems import IdempotencyKeyReused, ItemChanged, ItemNotFound, StockTooLow
from oms_inventory.schemas import CorrectBody, DifferenceView, ItemView, MovementView

router = APIRouter(tags=["stock"])
Limit = Annotated[int, Query(ge=1, le=1000), pages.DIGITS]
READS = [Depends(Needs("items:write"))]  # who did what is for those who may do it


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
    caller: Writes,
    response: Response,
    item_id: ItemId,
    body: CorrectBody,
    wanted: Wanted,
    key: Key = None,
) -> ItemView:
    """What was counted, found or broken: a negative quantity is taken away. With an Idempotency-Key, once. With
    `If-Match`, only if nothing of the item is another than was seen: nobody has bought of it since."""
    kept = f"correct {own_key(key, caller)}" if key else None
    change = StockChange(item_id, body.quantity, caller.shown, body.reason, kept, wanted)
    return replayed(response, catalogue.correct(database, change))


@router.get(
    "/items/{item_id}/movements",
    response_model_exclude_none=True,
    summary="List an item's movements, newest first",
    dependencies=READS,
    responses=documented(ItemNotFound, Unavailable),
)
def list_movements(database: Database, item_id: ItemId, limit: Limit = 100) -> list[MovementView]:
    """Everything that came or went, with who and why; what is on hand is the sum of it."""
    return catalogue.movements(database, item_id, limit)


@router.get(
    "/stock/differences",
    summary="List the items whose stock is not the sum of their movements",
    dependencies=READS,
    responses={200: headed("Link"), **documented(BadCursor, Unavailable)},
)
def list_differences(
    database: Database,
    response: Response,
    limit: Limit = 100,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> list[DifferenceView]:
    """Of the first `limit` items by id: an empty list if their books are in order. Where there are further items, the
    Link header leads to them. It reads every movement of these items: where that takes too long, ask for fewer."""
    found, following = catalogue.differences(database, limit, cursor)
    if following is not None:
        response.headers["Link"] = pages.next_link("/stock/differences", {"limit": limit}, following)
    return found
