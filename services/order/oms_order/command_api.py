"""The routes for commands on an order: cancel and refund."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Response

from oms_chassis.http.dependencies import Provided
from oms_chassis.http.documents import headed
from oms_chassis.http.identity.callers import OPERATOR, Caller
from oms_chassis.http.identity.requirements import Needs
from oms_chassis.http.problems import OutcomeUnknown, Unavailable, documented
from oms_order import cancelling, problems, refunding
from oms_order.api import parse_order_id
from oms_order.idempotency import HEADER, SCHEMA
from oms_order.refund_schemas import RefundBody, RefundView
from oms_order.schemas import CancelBody, OrderDetail

router = APIRouter(tags=["orders"])
OrderId = Annotated[UUID, Depends(parse_order_id)]
MayAct = Annotated[Caller, Depends(Needs("orders:act"))]
MayOperate = Annotated[Caller, Depends(Needs(OPERATOR))]
Key = Annotated[str | None, Header(alias=HEADER, json_schema_extra=SCHEMA)]
Cancelling = Annotated[cancelling.Cancelling, Depends(Provided(cancelling.Cancelling))]
Refunding = Annotated[refunding.Refunding, Depends(Provided(refunding.Refunding))]
_COMMON_PROBLEMS = (
    problems.OrderNotFound,
    problems.BadIdempotencyKey,
    problems.IdempotencyKeyReused,
    Unavailable,
    OutcomeUnknown,
)


@router.post(
    "/order/{order_id}/cancel",
    status_code=202,
    response_model=OrderDetail,
    summary="Cancel an order",
    responses={
        202: headed("Location", "Idempotent-Replayed"),
        **documented(*_COMMON_PROBLEMS, problems.TooLateToCancel),
    },
)
def cancel_order(
    cancelling: Cancelling, caller: MayAct, order_id: OrderId, body: CancelBody | None = None, key: Key = None
) -> Response:
    """202 means that the order can no longer be confirmed: it is CANCELLING, and CANCELLED once its money and its stock
    have been given back. Repeating the request returns the order as it is by then, and changes nothing."""
    return cancelling.cancel(order_id, body or CancelBody(), key, caller).response()


@router.post(
    "/order/{order_id}/refund",
    status_code=202,
    response_model=RefundView,
    summary="Refund an order, or a part of it",
    responses={
        202: headed("Location", "Idempotent-Replayed"),
        **documented(*_COMMON_PROBLEMS, problems.NotRefundable, problems.RefundTooLarge),
    },
)
def refund_order(
    refunding: Refunding, caller: MayOperate, order_id: OrderId, body: RefundBody, key: Key = None
) -> Response:
    """Refunds lines of a CONFIRMED order, or an amount; the order stays CONFIRMED. The refund is PENDING until the
    gateway has answered; the order at `Location` shows its outcome. Without an Idempotency-Key, a repeated request is
    another refund, of what remains."""
    return refunding.refund(order_id, body, key, caller).response()
