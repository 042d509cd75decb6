"""The admin routes that every service has: so far, its audit log."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from oms_chassis.admin import audit
from oms_chassis.admin.service import Administered
from oms_chassis.http import pages
from oms_chassis.http.bodies import PRINTABLE, View

PREFIX = "/admin"
router = APIRouter(prefix=PREFIX)
Text = Annotated[str | None, Query(max_length=200, pattern=PRINTABLE)]
Limit = Annotated[int, Query(ge=1, le=500)]
Cursor = Annotated[str | None, Query(max_length=100)]


class AuditEntry(View):
    """An act of an operator's."""

    id: int
    at: datetime
    operator: str
    action: str
    subject: str
    reason: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@router.get("/audit", summary="What operators did, newest first")
def list_audit(
    service: Administered,
    response: Response,
    operator: Text = None,
    subject: Text = None,
    action: Text = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> list[AuditEntry]:
    """Pages by cursor: where there are further entries, the Link header leads to them."""
    before = pages.decode(cursor, int) if cursor is not None else None
    rows = audit.page(service.database, audit.Filters(operator, subject, action), before, limit + 1)
    if len(rows) > limit:
        query = {"operator": operator, "subject": subject, "action": action, "limit": limit}
        position = str(rows[limit - 1].id).encode()
        response.headers["Link"] = pages.next_link(f"{PREFIX}/audit", query, pages.encode(position))
    return [AuditEntry.of(row) for row in rows[:limit]]
