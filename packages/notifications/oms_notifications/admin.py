"""The admin routes by which operators find messages that were given up, and have them sent after all."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Path, Response

from oms_chassis.admin import paging
from oms_chassis.admin.acts import Act
from oms_chassis.admin.jobs import JobView
from oms_chassis.admin.paging import PREFIX, Cursor, Limit, Text
from oms_chassis.admin.problems import CallUnderWay
from oms_chassis.admin.service import Administered
from oms_chassis.db import Transaction
from oms_chassis.http import pages
from oms_chassis.http.bodies import STORABLE, View
from oms_chassis.http.problems import documented
from oms_chassis.jobs import dead, listing
from oms_chassis.laterreleases import extensible
from oms_chassis.statements import Row, Rows
from oms_notifications import repository
from oms_notifications.notice import job_id
from oms_notifications.problems import MessageNotFailed, NoSuchMessage, NothingToSend

router = APIRouter(prefix=PREFIX)
OrderId = Annotated[str, Path(max_length=64, pattern=STORABLE)]
STATES = ("pending", "sent", "failed", "unknown")


class MessageView(View):
    """A message to the customer about an order or a refund, sent or not. Its text and address are not shown."""

    order_id: str
    refund_id: str | None = None
    kind: str
    state: Annotated[str, extensible(STATES)]
    attempts: int
    reason: str | None
    provider_id: str | None
    created_at: datetime
    sent_at: datetime | None

    @classmethod
    def of(cls, row: Row, **more: object) -> Self:
        """From a row of the table."""
        if row.refund_of is not None:
            more = {"order_id": row.refund_of, "refund_id": row.order_id, **more}
        return super().of(row, **more)


class MessageDetail(MessageView):
    """A message, with the call to the provider that is still to be made, or that was given up."""

    jobs: list[JobView]


@router.get("/messages", summary="Messages to customers")
def list_messages(
    service: Administered,
    response: Response,
    state: Literal["pending", "sent", "failed", "unknown"] | None = "failed",
    kind: Text = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> list[MessageView]:
    """By default, messages that were given up. Paginated by cursor: the Link header has the URL of the next page."""
    after = paging.position("/messages", cursor, "", pages.text)
    rows = repository.page(service.database, state, kind, after, limit + 1)
    query = {"state": state, "kind": kind, "limit": limit}
    return paging.page(response, "/messages", query, rows, MessageView.of, "order_id")


@router.get("/messages/{order_id}", summary="Show a message", responses=documented(NoSuchMessage))
def show_message(service: Administered, order_id: OrderId) -> MessageDetail:
    """The message about an order or a refund, by its id, with its call to the provider, if there is one."""
    with service.database.transaction() as transaction:
        row = _row(transaction, order_id)
    jobs = listing.about(service.database, [row.refund_of or order_id])
    return MessageDetail.of(row, jobs=[JobView.of(job) for job in _of(row, jobs)])


@router.post(
    "/messages/{order_id}/resend",
    summary="Send a message that was given up",
    responses=documented(NoSuchMessage, MessageNotFailed, NothingToSend, CallUnderWay),
)
def resend_message(service: Administered, act: Act, order_id: OrderId) -> MessageView:
    """The message keeps its key, so that the receiver recognises a repetition if it arrived after all."""
    with act.transaction(service.database) as transaction:
        before = _row(transaction, order_id)
        if before.state != "failed":
            raise MessageNotFailed(detail=f"This message was not given up: it is {before.state}.")
        (queue,) = service.job_queues
        jobs = _of(before, listing.about(transaction, [before.refund_of or order_id]))
        given_up = [job.id for job in jobs if job.state == listing.DEAD]
        if not given_up:
            raise NothingToSend
        if not dead.redrive(transaction, queue, given_up):
            raise CallUnderWay
        after = _row(transaction, order_id)
        act.record(transaction, "messages.resend", order_id, _state(before), _state(after))
    return MessageView.of(after)


def _row(transaction: Transaction, order_id: str) -> Row:
    rows = repository.find(transaction, order_id)
    if not rows:
        raise NoSuchMessage
    return rows[0]


def _of(message: Row, jobs: Rows) -> list[Row]:
    """Return the job that sends this message, from all jobs about its order: there may be one of an earlier message."""
    return [job for job in jobs if job.id == job_id(message.order_id, message.kind)]


def _state(row: Row) -> dict[str, Any]:
    return {"state": row.state, "reason": row.reason}
