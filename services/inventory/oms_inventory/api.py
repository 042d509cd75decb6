"""The routes of the Inventory Service: plain functions, which FastAPI runs in its threads."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pydantic import AfterValidator, StringConstraints

from oms_chassis import db
from oms_chassis.http import cardnumbers, conditions, pages
from oms_chassis.http.conditions import Tags
from oms_chassis.http.dependencies import Provided
from oms_chassis.http.documents import headed
from oms_chassis.http.identity.callers import Caller
from oms_chassis.http.identity.requirements import Needs
from oms_chassis.http.pages import BadCursor
from oms_chassis.http.problems import OutcomeUnknown, Unavailable, documented
from oms_inventory import catalogue
from oms_inventory.catalogue import StockChange
from oms_inventory.conditions import Conditions, tag
from oms_inventory.problems import IdempotencyKeyReused, ItemChanged, ItemExists, ItemNotFound
from oms_inventory.schemas import IdText, ItemBody, ItemView, NewId, RestockBody
from oms_inventory.settings import InventorySettings

router = APIRouter(tags=["items"])
Database = Annotated[db.Database, Depends(Provided(db.Database))]
Settings = Annotated[InventorySettings, Depends(Provided(InventorySettings))]
ItemId = Annotated[IdText, Path()]
KeyText = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,200}$"), AfterValidator(cardnumbers.without)]
Key = Annotated[KeyText | None, Header(alias="Idempotency-Key")]
Match = Annotated[str | None, Header(alias="If-Match", pattern=conditions.FORM)]
NoneMatch = Annotated[str | None, Header(alias="If-None-Match", pattern=conditions.FORM)]


async def read_conditions(if_match: Match = None, if_none_match: NoneMatch = None) -> Conditions:
    """The conditions in a request's headers."""
    return Conditions(Tags.of(if_match), Tags.of(if_none_match))


Wanted = Annotated[Conditions, Depends(read_conditions)]

TAGGED, REPLAYED = headed("ETag"), headed("ETag", "Idempotent-Replayed")
# Anybody may read; changing prices and stock needs the scope.
ANYBODY = [Depends(Needs())]
MayWrite = Annotated[Caller, Depends(Needs("items:write"))]


@router.get(
    "/items",
    summary="List items by id",
    dependencies=ANYBODY,
    responses={200: headed("Link"), **documented(BadCursor, Unavailable)},
)
def list_items(
    database: Database,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=100), pages.DIGITS] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> list[ItemView]:
    """Paginated by cursor: if there are more items, the Link header has the URL of the next page."""
    items, following = catalogue.page(database, limit, cursor)
    if following is not None:
        response.headers["Link"] = pages.next_link("/items", {"limit": limit}, following)
    return items


@router.get(
    "/items/{item_id}",
    summary="Show an item",
    dependencies=ANYBODY,
    response_model=ItemView,
    responses={
        200: TAGGED,
        304: {"description": "It is what If-None-Match names", **TAGGED},
        **documented(ItemNotFound, Unavailable),
    },
)
def show_item(
    database: Database, response: Response, item_id: ItemId, if_none_match: NoneMatch = None
) -> ItemView | Response:
    """Send the ETag as If-Match to change the item only if its name and price are still the same; as If-None-Match, to
    get it only if anything about it has changed."""
    item = catalogue.find(database, item_id)
    if not Conditions(none_match=Tags.of(if_none_match)).allow_showing(item):
        return Response(status_code=304, headers={"ETag": f'"{tag(item)}"'})
    return tagged(response, item)


@router.put(
    "/items/{item_id}",
    summary="Create an item or change its name and price",
    dependencies=[Depends(Needs("items:write"))],
    responses={
        200: TAGGED,
        201: {"model": ItemView, "description": "The item is new", **TAGGED},
        **documented(ItemChanged, ItemExists, Unavailable, OutcomeUnknown),
    },
)
def put_item(
    database: Database,
    settings: Settings,
    response: Response,
    item_id: Annotated[NewId, Path()],
    body: ItemBody,
    wanted: Wanted,
) -> ItemView:
    """201 for a new item. The order service uses a new price as soon as it receives it. With `If-None-Match: *`, an
    item is only created, never changed; with `If-Match`, only changed."""
    item, is_new = catalogue.put(database, item_id, body, wanted, settings.currency)
    response.status_code = 201 if is_new else 200
    return tagged(response, item)


@router.post(
    "/items/{item_id}/restock",
    summary="Add to an item's stock",
    responses={
        200: REPLAYED,
        **documented(ItemNotFound, ItemChanged, IdempotencyKeyReused, Unavailable, OutcomeUnknown),
    },
)
def restock_item(
    database: Database,
    caller: MayWrite,
    response: Response,
    item_id: ItemId,
    body: RestockBody,
    wanted: Wanted,
    key: Key = None,
) -> ItemView:
    """With an Idempotency-Key, a repeated request adds nothing; each caller has keys of its own. With `If-Match`, the
    item must not have changed at all."""
    kept = key and own_key(key, caller)
    change = StockChange(item_id, body.quantity, caller.shown, body.reason, kept, wanted)
    return replayed(response, catalogue.restock(database, change))


def own_key(key: str, caller: Caller) -> str:
    """The stored form of a caller's key. It contains a space, which no key that is sent can."""
    return key if caller.subject is None else f"{caller.namespace} {key}"


def tagged(response: Response, item: ItemView) -> ItemView:
    """The item itself; its tag becomes the response's ETag."""
    response.headers["ETag"] = f'"{tag(item)}"'
    return item


def replayed(response: Response, moved: tuple[ItemView, bool]) -> ItemView:
    """The item whose stock was changed, by this request or by an earlier one with the same key."""
    item, was_done = moved
    if was_done:
        response.headers["Idempotent-Replayed"] = "true"
    return tagged(response, item)
