"""The routes for the outbox's quarantine: list, redrive, drop."""

from datetime import datetime

from fastapi import APIRouter, Response

from oms_chassis.admin import paging
from oms_chassis.admin.acts import Act, OperatorAct
from oms_chassis.admin.contacts import MaskedKey
from oms_chassis.admin.paging import PREFIX, Cursor, Limit, RowId, Text
from oms_chassis.admin.problems import NoSuchRow
from oms_chassis.admin.service import Administered
from oms_chassis.db import Transaction
from oms_chassis.http import pages
from oms_chassis.http.bodies import View
from oms_chassis.http.problems import documented
from oms_chassis.messaging import outbox, quarantine
from oms_chassis.statements import Row

router = APIRouter(prefix=PREFIX)


class Quarantined(View):
    """A row of the outbox that no broker accepted, without its content."""

    id: int
    topic: str
    subject: MaskedKey
    error: str
    created_at: datetime
    quarantined_at: datetime
    bytes: int


@router.get("/outbox", summary="Events that no broker took, the oldest first")
def list_quarantined(
    service: Administered,
    response: Response,
    topic: Text = None,
    subject: Text = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> list[Quarantined]:
    """Pages by cursor: if there are more rows, the Link header leads to them."""
    after = paging.position("/outbox", cursor, 0, pages.number)
    rows = quarantine.page(service.database, topic, subject, after, limit + 1)
    query = {"topic": topic, "subject": subject, "limit": limit}
    return paging.page(response, "/outbox", query, rows, Quarantined.of)


@router.post("/outbox/{row_id}/redrive", summary="Have an event sent after all", responses=documented(NoSuchRow))
def redrive_row(service: Administered, act: Act, row_id: RowId) -> Quarantined:
    """Moves the event to the end of the outbox. If brokers still refuse it, it comes back."""
    with act.transaction(service.database) as transaction:
        row = _found(transaction, row_id)
        outbox.requeue(transaction, [row_id])
        return _recorded(act, transaction, row, "outbox.redrive", "waiting")


@router.post("/outbox/{row_id}/drop", summary="Never send an event", responses=documented(NoSuchRow))
def drop_row(service: Administered, act: Act, row_id: RowId) -> Quarantined:
    """Deletes the event: services that wait for it wait for ever."""
    with act.transaction(service.database) as transaction:
        row = _found(transaction, row_id)
        quarantine.drop(transaction, row_id)
        return _recorded(act, transaction, row, "outbox.drop", "dropped")


def _found(transaction: Transaction, row_id: int) -> Row:
    rows = quarantine.lock(transaction, row_id)
    if not rows:
        raise NoSuchRow
    return rows[0]


def _recorded(act: OperatorAct, transaction: Transaction, row: Row, action: str, state: str) -> Quarantined:
    place = {"topic": row.topic, "subject": row.subject}
    act.record(transaction, action, int(row.id), {"state": "quarantined", **place}, {"state": state, **place})
    return Quarantined.of(row)
