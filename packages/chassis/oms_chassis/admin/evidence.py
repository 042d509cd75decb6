"""The routes by which `oms doctor` finds out why orders wait: what this service's loops do, and what is held up
here."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from oms_chassis.admin.contacts import MaskedKey
from oms_chassis.admin.deadletters import Letter
from oms_chassis.admin.jobs import JobView
from oms_chassis.admin.outbox import Quarantined
from oms_chassis.admin.paging import PREFIX
from oms_chassis.admin.service import Administered, AdministeredService
from oms_chassis.http.bodies import STORABLE, Body, View
from oms_chassis.jobs import listing
from oms_chassis.messaging import deadletterstore, quarantine
from oms_chassis.messaging.streams import StreamUnavailable

router = APIRouter(prefix=PREFIX)
MOST = 10_000  # rows that are counted, at most
SOON = timedelta(seconds=10)  # an event may wait for this long without being held up
Subject = Annotated[str, Field(min_length=1, max_length=100, pattern=STORABLE)]


class Condition(View):
    """What the loops of this replica do; None if there is no such loop."""

    service: str
    consumer_running: bool | None
    consumer_paused: bool | None
    batch_damaged: bool | None
    topic_refused: bool | None
    relay_leads: bool | None
    paused_queues: list[str]
    dead_letters: int
    quarantined: int


class Subjects(Body):
    """Ids of orders."""

    subjects: Annotated[list[Subject], Field(max_length=200)]


class Unsent(View):
    """An event that waits in the outbox."""

    id: int
    topic: str
    subject: MaskedKey
    created_at: datetime


class Evidence(View):
    """What this service knows about some subjects, and what is held up about them. `unread` is the number of events per
    topic that wait in Kafka for any of its replicas, whoever they are about; None if Kafka is unavailable."""

    states: dict[str, str]
    dead_letters: list[Letter]
    jobs: list[JobView]
    quarantined: list[Quarantined]
    unsent: list[Unsent]
    unread: dict[str, int] | None


@router.get("/condition", summary="What this replica is doing")
def show_condition(service: Administered) -> Condition:
    """Loops are those of the replica that answers; counts are from the database of all replicas."""
    queues = [queue.name for queue in service.job_queues]
    return Condition(
        service=service.name,
        consumer_running=service.gauge("oms_consumer_running") if service.subscriptions else None,
        consumer_paused=service.gauge("oms_consumer_paused") if service.subscriptions else None,
        batch_damaged=service.gauge("oms_consumer_damaged_partitions") if service.subscriptions else None,
        topic_refused=service.gauge("oms_consumer_refused_topics") if service.subscriptions else None,
        relay_leads=service.gauge("oms_relay_leader"),
        paused_queues=[queue for queue in queues if service.gauge("oms_job_queue_paused", queue=queue)],
        dead_letters=deadletterstore.count(service.database, MOST),
        quarantined=quarantine.count(service.database, MOST),
    )


@router.post("/evidence", summary="What is held up of some orders")
def show_evidence(service: Administered, about: Subjects) -> Evidence:
    """Returns rows without their content."""
    database, subjects = service.database, about.subjects
    return Evidence(
        states=dict(service.states(database, subjects)) if service.states else {},
        dead_letters=[Letter.of(row) for row in deadletterstore.about(database, subjects)],
        jobs=[JobView.of(row) for row in listing.about(database, subjects)],
        quarantined=[Quarantined.of(row) for row in quarantine.about(database, subjects)],
        unsent=[Unsent.of(row) for row in quarantine.waiting(database, subjects)],
        unread=_unread(service),
    )


def _unread(service: AdministeredService) -> dict[str, int] | None:
    """Count for all replicas: the one that answers may be fine while another one holds the partition."""
    if service.unread is None:
        return {}
    try:
        return dict(service.unread(datetime.now(UTC) - SOON))
    except StreamUnavailable:
        return None
