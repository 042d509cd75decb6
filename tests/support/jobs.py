"""Jobs of a queue `calls` in the chassis's test database, which records those settled or given up on as `seen`."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from oms_chassis.db import Database, Transaction
from oms_chassis.jobs import queue as jobs
from oms_chassis.jobs.queue import Job, JobQueue, NewJob, Outcome, Settled, enqueue
from oms_chassis.jobs.worker import Worker
from oms_chassis.telemetry.metrics import Metrics
from support import chassis
from support.seen import note


def settle(transaction: Transaction, settled: list[Settled]) -> None:
    """Record the ids of settled jobs as seen."""
    note(transaction, (job.id for job, _ in settled))


def give_up(transaction: Transaction, given_up: list[Job]) -> None:
    """Record jobs that were given up on as seen."""
    note(transaction, (f"{job.id} given up" for job in given_up))


def job_queue(call: Callable[[Job], Outcome], **more: Any) -> JobQueue:
    """Return the queue, which calls its jobs by this function."""
    return JobQueue("calls", call, **{"settle": settle, "give_up": give_up, **more})


def put(database: Database, *ids: str) -> None:
    """Enqueue jobs with these ids."""
    with database.transaction() as transaction:
        enqueue(transaction, "calls", [NewJob(one, "order", {"n": 1}) for one in ids])


def claim(database: Database, lease: float = 60.0) -> list[Job]:
    """Claim at most ten of the due jobs."""
    with database.transaction() as transaction:
        return jobs.claim(transaction, "calls", 10, lease)


def is_empty(database: Database) -> bool:
    """Whether there are no jobs left."""
    return not database.execute("SELECT 1 FROM job")


def running(job_queue: JobQueue, database: Database, metrics: Metrics) -> AbstractContextManager[None]:
    """Run a worker of the queue during the block."""
    return chassis.running(Worker(job_queue, database, metrics))
