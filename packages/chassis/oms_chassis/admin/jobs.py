"""The routes for jobs: list, retry, cancel."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import Field

from oms_chassis.admin import paging
from oms_chassis.admin.acts import Act, OperatorAct
from oms_chassis.admin.paging import PREFIX, Cursor, Limit, Text
from oms_chassis.admin.problems import CallUnderWay, JobNotCancellable, NoSuchJob
from oms_chassis.admin.service import Administered, AdministeredService
from oms_chassis.db import Transaction
from oms_chassis.http import pages
from oms_chassis.http.bodies import PRINTABLE, Body, View
from oms_chassis.http.problems import documented
from oms_chassis.jobs import dead, interventions, listing
from oms_chassis.jobs.queue import Job, JobQueue
from oms_chassis.statements import Row

router = APIRouter(prefix=PREFIX)
State = Literal["dead", "failing", "waiting"]
CANCELLED = "cancelled by an operator"


class JobView(View):
    """A job without its payload."""

    queue: str
    id: str
    subject: str
    state: State
    attempts: int
    failed_calls: int
    failing_since: datetime | None
    last_error: str | None
    created_at: datetime
    due_at: datetime | None
    dead_at: datetime | None


class ChosenJob(Body):
    """A job by its queue and id."""

    queue: str = Field(max_length=100, pattern=PRINTABLE)
    id: str = Field(max_length=200, pattern=PRINTABLE)


@router.get("/jobs", summary="Calls to the outside that are still to be made")
def list_jobs(
    service: Administered,
    response: Response,
    queue: Text = None,
    state: State | None = None,
    subject: Text = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> list[JobView]:
    """Pages by cursor: if there are more jobs, the Link header leads to them."""
    after = paging.position("/jobs", cursor, "", pages.text)
    rows = listing.page(service.database, listing.Filters(queue, state, subject), after, limit + 1)
    query = {"queue": queue, "state": state, "subject": subject, "limit": limit}
    return paging.page(response, "/jobs", query, rows, JobView.of, "place")


@router.post("/jobs/retry", summary="Have a call made now", responses=documented(NoSuchJob, CallUnderWay))
def retry_job(service: Administered, act: Act, chosen: ChosenJob) -> JobView:
    """A job that was given up starts over, as if no call had failed; one that waits for its next call becomes due. One
    whose call is under way is left alone: otherwise the call would be made twice, and a customer might get a mail
    twice."""
    with act.transaction(service.database) as transaction:
        before = _found(transaction, chosen)
        if before.state == listing.DEAD:
            if not dead.redrive(transaction, _queue(service, chosen), [chosen.id]):
                raise CallUnderWay
        elif not listing.make_due(transaction, chosen.queue, chosen.id, service.lease):
            raise CallUnderWay
        return _recorded(act, transaction, "jobs.retry", before)


@router.post("/jobs/cancel", summary="Give a call up", responses=documented(NoSuchJob, JobNotCancellable))
def cancel_job(service: Administered, act: Act, chosen: ChosenJob) -> JobView:
    """The job is kept as given up, with the consequences that this has, and may be retried. A call that is under way
    still ends, and is not retried until then."""
    queue = _queue(service, chosen)
    with act.transaction(service.database) as transaction:
        before = _found(transaction, chosen)
        if queue.give_up is None:
            raise JobNotCancellable
        if before.state != listing.DEAD:
            payload = interventions.payload(transaction, chosen.queue, chosen.id)
            job = Job(chosen.queue, before.id, before.subject, payload, None, before.attempts)
            dead.mark_dead(transaction, queue.name, [(job, CANCELLED)], queue.lease_seconds)
            queue.give_up(transaction, [job])
        return _recorded(act, transaction, "jobs.cancel", before)


def _found(transaction: Transaction, chosen: ChosenJob) -> Row:
    job = listing.lock(transaction, chosen.queue, chosen.id)
    if job is None:
        raise NoSuchJob
    return job


def _queue(service: AdministeredService, chosen: ChosenJob) -> JobQueue:
    queue = next((one for one in service.job_queues if one.name == chosen.queue), None)
    if queue is None:
        raise NoSuchJob
    return queue


def _recorded(act: OperatorAct, transaction: Transaction, action: str, before: Row) -> JobView:
    after = listing.lock(transaction, before.queue, before.id)
    subject = {"subject": before.subject}
    act.record(
        transaction,
        action,
        f"{before.queue} {before.id}",
        {"state": before.state, "failedCalls": before.failed_calls, **subject},
        {"state": after.state if after else None, "failedCalls": after.failed_calls if after else None, **subject},
    )
    return JobView.of(after or before)
