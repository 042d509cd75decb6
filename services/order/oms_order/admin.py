"""What operators ask the order service: which orders wait, and for which step."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from oms_chassis.admin import paging
from oms_chassis.admin.paging import PREFIX, Cursor, Limit
from oms_chassis.admin.service import Administered
from oms_chassis.http import pages
from oms_chassis.http.bodies import View
from oms_order.domain import Status
from oms_order.repository import stuck

router = APIRouter(prefix=PREFIX)
FIRST = UUID(int=0)


class StuckOrder(View):
    """An order that is not terminal, the step that it waits for, and since when."""

    id: str
    status: Status
    reason: str | None
    step: str
    placed_at: datetime
    updated_at: datetime


@router.get("/orders/stuck", summary="Orders whose status has not changed for a while")
def list_stuck(
    service: Administered,
    response: Response,
    seconds: Annotated[float, Query(ge=0, le=10**9)] = 300.0,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> list[StuckOrder]:
    """Pages by cursor: where there are further orders, the Link header leads to them."""
    after = FIRST if cursor is None else pages.decode(cursor, lambda position: UUID(position.decode()))
    rows = stuck.page(service.database, seconds, after, limit + 1)
    query: dict[str, str | int | None] = {"seconds": str(seconds), "limit": limit}
    return paging.page(response, "/orders/stuck", query, rows, StuckOrder.of)
