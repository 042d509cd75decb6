"""Schedules retention: soon after the start, but not in all replicas at once, and every hour after that."""

import random
from collections.abc import Iterable
from functools import partial

from oms_chassis.db import Database
from oms_chassis.jobs import dead
from oms_chassis.jobs.queue import JobQueue
from oms_chassis.messaging import deadletterstore, inbox, quarantine
from oms_chassis.retention import Retention, prune
from oms_chassis.runtime.threads import Task
from oms_chassis.settings import Settings

FIRST, EVERY = 60.0, 3600.0  # seconds until the first run, at most, and between two runs


def tasks(
    database: Database, settings: Settings, of_the_service: Iterable[Retention], job_queues: Iterable[JobQueue] = ()
) -> list[Task]:
    """Return the retention tasks of the tables that every service has, and of the service's own."""
    retentions = (
        inbox.retention(settings.inbox_days),
        *dead.retention(settings.dead_job_days, job_queues),
        deadletterstore.retention(settings.dead_letter_days),
        *quarantine.retention(settings.order_days),
        *of_the_service,
    )
    return [task(database, retention) for retention in retentions]


def task(database: Database, retention: Retention) -> Task:
    """Return the task that applies a table's retention."""
    first = random.uniform(FIRST / 10, FIRST)  # noqa: S311 - a spread, not a secret
    return Task(f"prune-{retention.table}", partial(prune, database, retention), EVERY, first)
