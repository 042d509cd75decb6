"""Reading orders: one by its id, or pages of them, newest first.

Ids sort by time, so that a page is a stretch of the primary key: page a thousand costs what page one does, and orders
that arrive meanwhile shift nothing.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from oms_chassis.db import Database
from oms_chassis.http.problems import Problem
from oms_order import ids
from oms_order.domain import Status
from oms_order.rejections import refuse
from oms_order.schemas import CustomerView, LineView, OrderDetail, OrderSummary, PaymentView, StepView

_SUMMARY = """
id::text, status, reason, name, email, phone, phone_e164, total, currency, placed_at, updated_at
"""
_DETAIL = f"""
SELECT {_SUMMARY}, card_brand, card_last4, card_expiry,
    (SELECT json_agg(line ORDER BY position) FROM order_line line WHERE line.order_id = orders.id) AS lines,
    (SELECT json_agg(step ORDER BY position) FROM timeline step WHERE step.order_id = orders.id) AS timeline
FROM orders WHERE id = %(id)s
"""
_CONDITIONS = {
    "status": "status = %(status)s",
    "email": "lower(email) = lower(%(email)s)",
    "since": "id >= %(since_id)s AND placed_at >= %(since)s",
    "cursor": "id < %(cursor)s",
}


@dataclass(frozen=True)
class Filters:
    """Which orders are asked for; None means all."""

    status: Status | None = None
    email: str | None = None
    since: datetime | None = None


@dataclass(frozen=True)
class Page:
    """Some orders, and the cursor of those after them if there are any."""

    orders: Sequence[OrderSummary]
    next: str | None


def page(database: Database, filters: Filters, limit: int, cursor: str | None) -> Page:
    """At most `limit` orders before the cursor. Raises Problem for a cursor that is none of ours."""
    params = {
        "status": filters.status,
        "email": filters.email,
        "since": filters.since,
        "since_id": filters.since and ids.first_id(filters.since),
        "cursor": decode(cursor) if cursor is not None else None,
    }
    where = " AND ".join(condition for name, condition in _CONDITIONS.items() if params[name] is not None)
    sql = f"SELECT {_SUMMARY} FROM orders {'WHERE ' + where if where else ''} ORDER BY id DESC LIMIT %(limit)s"
    rows = database.execute(sql, **params, limit=limit + 1)
    orders = [OrderSummary(**_summary(row)) for row in rows[:limit]]
    return Page(orders, encode(UUID(orders[-1].id)) if len(rows) > limit else None)


def link(filters: Filters, limit: int, cursor: str) -> str:
    """The Link header (RFC 8288) to the page at this cursor."""
    since = filters.since.isoformat() if filters.since else None
    query = {"status": filters.status, "email": filters.email, "since": since, "limit": limit, "cursor": cursor}
    return f'</order?{urlencode({name: value for name, value in query.items() if value is not None})}>; rel="next"'


def detail(database: Database, order_id: str) -> OrderDetail:
    """An order with its lines and timeline. Raises Problem 404."""
    rows = database.execute(_DETAIL, id=parse_order_id(order_id))
    if not rows:
        raise missing()
    row = rows[0]
    return OrderDetail(
        **_summary(row),
        payment=PaymentView(brand=row.card_brand, last4=row.card_last4, expiry_date=row.card_expiry),
        lines=[LineView(**line) for line in row.lines],
        timeline=[StepView(**step) for step in row.timeline],
    )


def parse_order_id(order_id: str) -> UUID:
    """The id, if it has an id's form; an id without it belongs to no order. Raises Problem 404."""
    parsed = ids.parse(order_id)
    if parsed is None:
        raise missing()
    return parsed


def missing() -> Problem:
    """There is no such order."""
    return Problem(404, "order-not-found", "There is no order with this id")


def encode(order_id: UUID) -> str:
    """A cursor that goes on after this order."""
    return base64.urlsafe_b64encode(order_id.bytes).decode().rstrip("=")


def decode(cursor: str) -> UUID:
    """The order after which a cursor goes on. Raises Problem."""
    try:
        return UUID(bytes=base64.b64decode(f"{cursor}==", altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        refuse("bad-cursor", "The cursor is none of ours", {"cursor": "must come from a Link header of this list"})


def _summary(row: Any) -> dict[str, Any]:
    customer = CustomerView(name=row.name, email=row.email, phone_number=row.phone, phone_e164=row.phone_e164)
    names = ("id", "status", "reason", "total", "currency", "placed_at", "updated_at")
    return {"customer": customer, **{name: getattr(row, name) for name in names}}
