"""The routes of the Inventory Service: plain functions, which FastAPI runs in its threads."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Path, Query, Request, Response

from oms_chassis.db import Database
from oms_inventory import catalogue
from oms_inventory.schemas import IdText, ItemBody, ItemView, RestockBody

router = APIRouter(tags=["items"])
ItemId = Annotated[IdText, Path()]
Key = Annotated[str | None, Header(alias="Idempotency-Key", pattern=r"^[!-~]{1,200}$")]
Version = Annotated[str | None, Header(alias="If-Match", pattern=r'^"[0-9]{1,9}"$')]


@router.get("/items", summary="List items by id")
def list_items(
    request: Request,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> list[ItemView]:
    """Pages by cursor: where there are further items, the Link header leads to them."""
    items, following = catalogue.page(_database(request), limit, cursor)
    if following is not None:
        response.headers["Link"] = f'</items?{urlencode({"limit": limit, "cursor": following})}>; rel="next"'
    return items


@router.get("/items/{item_id}", summary="Show an item")
def show_item(request: Request, response: Response, item_id: ItemId) -> ItemView:
    """The ETag is the item's version: send it as If-Match to change just this version."""
    return _tagged(response, catalogue.find(_database(request), item_id))


@router.put("/items/{item_id}", summary="Create an item or change its name and price")
def put_item(
    request: Request,
    response: Response,
    item_id: ItemId,
    body: ItemBody,
    if_match: Version = None,
) -> ItemView:
    """201 for a new item. The order service takes orders at the new price from the moment when it hears of it."""
    version = int(if_match.strip('"')) if if_match is not None else None
    item, is_new = catalogue.put(_database(request), item_id, body, version, request.app.state.currency)
    response.status_code = 201 if is_new else 200
    return _tagged(response, item)


@router.post("/items/{item_id}/restock", summary="Add to an item's stock")
def restock_item(request: Request, response: Response, item_id: ItemId, body: RestockBody, key: Key = None) -> ItemView:
    """With an Idempotency-Key, a restock that is sent again adds nothing."""
    return _tagged(response, catalogue.restock(_database(request), item_id, body.quantity, key))


def _tagged(response: Response, item: ItemView) -> ItemView:
    response.headers["ETag"] = f'"{item.version}"'
    return item


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database
