"""The routes of the Order Service."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BeforeValidator
from starlette.concurrency import run_in_threadpool

from oms_chassis.db import Database
from oms_order import pages, stream, times
from oms_order.documentation import PLACE_ORDER, PROBLEM, UNSTORED
from oms_order.domain import Status
from oms_order.pages import Filters
from oms_order.placing import Placing
from oms_order.rejections import read_order
from oms_order.schemas import Accepted, OrderDetail, OrderSummary
from oms_order.stream import Timelines

router = APIRouter(tags=["orders"])


@router.post(
    "/order",
    status_code=202,
    response_model=Accepted,
    summary="Place an order",
    responses={**UNSTORED, **PROBLEM},
    openapi_extra=PLACE_ORDER,
)
async def place_order(request: Request) -> Response:
    """An order that is answered with 202 is stored and will be worked on; its status tells how that goes."""
    placing: Placing = request.app.state.placing
    answer = await placing.place(await read_order(request), request.headers.get("idempotency-key"))
    headers = {"Location": f"/order/{answer.order_id}"}
    if answer.replayed:
        headers["Idempotent-Replayed"] = "true"
    return Response(answer.body, 202, headers, media_type="application/json")


@router.get("/order", response_model_exclude_none=True, summary="List orders, newest first", responses=PROBLEM)
def list_orders(
    request: Request,
    response: Response,
    status: Status | None = None,
    email: Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")] = None,
    since: Annotated[AwareDatetime | None, BeforeValidator(times.with_plus)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> list[OrderSummary]:
    """Pages by cursor: where there are further orders, the Link header leads to them."""
    filters = Filters(status, email, since)
    found = pages.page(_database(request), filters, limit, cursor)
    if found.next is not None:
        response.headers["Link"] = pages.link(filters, limit, found.next)
    return list(found.orders)


@router.get("/order/{order_id}", response_model_exclude_none=True, summary="Show an order", responses=PROBLEM)
def show_order(request: Request, order_id: str) -> OrderDetail:
    """An order with its lines and its timeline."""
    return pages.detail(_database(request), order_id)


@router.get(
    "/order/{order_id}/events",
    summary="Follow an order",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {}}},
        204: {"description": "There is nothing more to come"},
        **PROBLEM,
    },
)
async def follow_order(request: Request, order_id: str) -> Response:
    """Server-sent events, one per status, up to the last. Last-Event-ID goes on after the event with that id."""
    parsed, seen = pages.parse_order_id(order_id), stream.last_seen(request.headers.get("last-event-id"))
    over = await run_in_threadpool(stream.is_over, _database(request), parsed, seen)
    if over is None:
        raise pages.missing()
    if over:
        return Response(status_code=204)  # the one answer after which a browser does not come back
    timelines: Timelines = request.app.state.timelines
    events: AsyncIterator[bytes] = timelines.listen(parsed, seen)
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database
