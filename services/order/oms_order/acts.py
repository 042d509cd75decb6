"""The routes by which something is done with an order."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Response

from oms_chassis.http.dependencies import Provided
from oms_chassis.http.identity.callers import Caller
from oms_chassis.http.identity.requirements import Needs
from oms_chassis.http.problems import InvalidRequest, MalformedJson, OutcomeUnknown, Unavailable, documented
from oms_chassis.http.strictness import RepeatedField, UnsupportedMediaType
from oms_order import cancelling, problems
from oms_order.api import parse_order_id
from oms_order.idempotency import HEADER, SCHEMA
from oms_order.schemas import CancelBody, OrderDetail

router = APIRouter(tags=["orders"])
OrderId = Annotated[UUID, Depends(parse_order_id)]
Acts = Annotated[Caller, Depends(Needs("orders:act"))]
Key = Annotated[str | None, Header(alias=HEADER, json_schema_extra=SCHEMA)]
Cancelling = Annotated[cancelling.Cancelling, Depends(Provided(cancelling.Cancelling))]


@router.post(
    "/order/{order_id}/cancel",
    status_code=202,
    response_model=OrderDetail,
    summary="Cancel an order",
    responses=documented(
        MalformedJson,
        problems.OrderNotFound,
        problems.TooLateToCancel,
        UnsupportedMediaType,
        InvalidRequest,
        RepeatedField,
        problems.BadIdempotencyKey,
        problems.IdempotencyKeyReused,
        Unavailable,
        OutcomeUnknown,
    ),
)
def cancel_order(
    cancelling: Cancelling, caller: Acts, order_id: OrderId, body: CancelBody | None = None, key: Key = None
) -> Response:
    """An order whose cancellation is answered with 202 is never confirmed any more: it is CANCELLING, and CANCELLED
    once its money and its stock are back. Asking again gets the order as it is then, and changes nothing."""
    answer = cancelling.cancel(order_id, body or CancelBody(), key, caller)
    return Response(answer, 202, {"Location": f"/order/{order_id}"}, media_type="application/json")
