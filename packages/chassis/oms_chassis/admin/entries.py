"""The route of the audit log, which says what operators did."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response

from oms_chassis.admin import audit, paging
from oms_chassis.admin.paging import PREFIX, Cursor, Limit, Text
from oms_chassis.admin.service import Administered
from oms_chassis.http import pages
from oms_chassis.http.bodies import View

router = APIRouter(prefix=PREFIX)


class AuditEntry(View):
    """An operator's act."""

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
    """Pages by cursor: if there are more entries, the Link header leads to them. `subject` also finds acts on an event
    or a call about it."""
    filters = audit.Filters(operator, subject, action)
    before = paging.position("/audit", cursor, None, pages.number)
    rows = audit.page(service.database, filters, before, limit + 1)
    query = {"operator": operator, "subject": subject, "action": action, "limit": limit}
    return paging.page(response, "/audit", query, rows, AuditEntry.of)
