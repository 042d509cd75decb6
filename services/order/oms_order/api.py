"""The routes of the Order Service."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from oms_chassis.db import Database
from oms_chassis.http import pages, times
from oms_chassis.http.bodies import PRINTABLE
from oms_chassis.http.deadlines import departure
from oms_chassis.http.dependencies import Provided
from oms_chassis.http.documents import headed
from oms_chassis.http.identity.callers import Caller
from oms_chassis.http.identity.requirements import Needs
from oms_chassis.http.pages import BadCursor
from oms_chassis.http.problems import OutcomeUnknown, Unavailable, documented
from oms_chassis.http.threads import Threads
from oms_order import cursors, emails, ids, placing, problems, stream
from oms_order.domain import Status
from oms_order.problems import OrderNotFound, TooManyListeners
from oms_order.repository import orders
from oms_order.repository.orders import Filters
from oms_order.requests import PLACE_ORDER, read_order
from oms_order.schemas import Accepted, OrderDetail, OrderSummary
from oms_order.stream import Timelines


async def parse_order_id(order_id: str) -> UUID:
    """The order id in a path. Raises OrderNotFound if it is not a UUID: no order can have such an id."""
    parsed = ids.parse(order_id)
    if parsed is None:
        raise OrderNotFound
    return parsed


router = APIRouter(tags=["orders"])
ReadDatabase = Annotated[Database, Depends(Provided(Database))]
Placing = Annotated[placing.Placing, Depends(Provided(placing.Placing))]
RequestThreads = Annotated[Threads, Depends(Provided(Threads))]
LiveTimelines = Annotated[Timelines, Depends(Provided(Timelines))]
Email = Annotated[str, Field(max_length=200, pattern=PRINTABLE), AfterValidator(emails.looked_for)]
OrderId = Annotated[UUID, Depends(parse_order_id)]
# Without the scope `operator`, callers see only their own orders; for anybody else's they get 404.
MayPlace = Annotated[Caller, Depends(Needs("orders:place"))]
MayRead = Annotated[Caller, Depends(Needs("orders:read"))]


@router.post(
    "/order",
    status_code=202,
    response_model=Accepted,
    summary="Place an order",
    responses={
        202: headed("Location", "Idempotent-Replayed"),
        **documented(
            problems.IdempotencyKeyRequired,
            problems.IdempotencyKeyInUse,
            problems.OutOfStock,
            problems.InvalidOrder,
            problems.BadPhone,
            problems.DuplicateItem,
            problems.UnknownItem,
            problems.TotalTooLarge,
            problems.MixedCurrencies,
            problems.CardNotAccepted,
            problems.BadIdempotencyKey,
            problems.IdempotencyKeyReused,
            problems.Busy,
            problems.CatalogueEmpty,
            problems.CatalogueIncomplete,
            Unavailable,
            OutcomeUnknown,
        ),
    },
    openapi_extra=PLACE_ORDER,
)
async def place_order(request: Request, placing: Placing, caller: MayPlace) -> Response:
    """202 means that the order is stored and will be processed; its status shows the progress."""
    order, key = await read_order(request), request.headers.get("idempotency-key")
    return (await placing.place(order, key, caller, lambda: departure(request))).response()


@router.get(
    "/order",
    response_model_exclude_none=True,
    summary="List orders, newest first",
    responses={200: headed("Link"), **documented(BadCursor, Unavailable)},
)
def list_orders(
    database: ReadDatabase,
    caller: MayRead,
    response: Response,
    status: Status | None = None,
    email: Annotated[Email | None, Query()] = None,
    since: Annotated[AwareDatetime | None, BeforeValidator(times.as_written)] = None,
    limit: Annotated[int, Query(ge=1, le=100), pages.DIGITS] = 50,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> list[OrderSummary]:
    """Paginated by cursor: if there are more orders, the Link header has the URL of the next page."""
    before = cursors.decode(cursor, caller) if cursor is not None else None
    rows = orders.page(database, Filters(status, email, since, caller.owner), before, limit + 1)
    if len(rows) > limit:
        query = {"status": status, "email": email, "since": since and since.isoformat(), "limit": limit}
        response.headers["Link"] = pages.next_link("/order", query, cursors.encode(rows[limit - 1].id, caller))
    return [OrderSummary.of(row) for row in rows[:limit]]


@router.get(
    "/order/{order_id}",
    response_model_exclude_none=True,
    summary="Show an order",
    responses=documented(OrderNotFound, Unavailable),
)
def show_order(database: ReadDatabase, caller: MayRead, order_id: OrderId) -> OrderDetail:
    """An order with its lines and its timeline."""
    rows = orders.detail(database, order_id, caller.owner)
    if not rows:
        raise OrderNotFound
    return OrderDetail.of(rows[0])


@router.get(
    "/order/{order_id}/events",
    summary="Follow an order",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {}}, **headed("X-Accel-Buffering")},
        204: {"description": "There is nothing more to come"},
        **documented(OrderNotFound, TooManyListeners, Unavailable),
    },
)
async def follow_order(
    request: Request,
    database: ReadDatabase,
    threads: RequestThreads,
    timelines: LiveTimelines,
    caller: MayRead,
    order_id: OrderId,
) -> Response:
    """Server-sent events, one per status, until the order is terminal. Last-Event-ID resumes after that event."""
    seen = stream.last_seen(request.headers.get("last-event-id"))
    start = await threads.run(stream.start, database, order_id, seen, caller.owner)
    if start is None:
        return Response(status_code=204)  # the only answer after which a browser does not reconnect
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(timelines.listen(order_id, start), media_type="text/event-stream", headers=headers)
