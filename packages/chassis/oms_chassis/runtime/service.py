"""The parts of a service, which its composition root names and `process` runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter
from prometheus_client import CollectorRegistry

from oms_chassis.admin.service import Erase, States
from oms_chassis.db import Database
from oms_chassis.jobs.queue import JobQueue
from oms_chassis.messaging import inbox, kafka
from oms_chassis.messaging.streams import Identity, Sink, Source
from oms_chassis.messaging.subscription import Deduplicate, Subscription
from oms_chassis.retention import Retention
from oms_chassis.runtime.threads import Loop, Task
from oms_chassis.settings import Settings

REQUESTS = {"statement": 5.0, "lock": 2.0}  # seconds: callers at the HTTP edge wait less long than threads behind it


@dataclass(frozen=True)
class Context:
    """The things that a service builds its components from."""

    settings: Any  # the service's own subclass of Settings
    database: Database
    registry: CollectorRegistry

    def reserve_for_requests(self) -> Database:
        """Reserve a quarter of the connections for callers' requests, with shorter limits than for events, so that
        callers who wait for each other do not hold up the consumer. Call it before the first use of the database
        only."""
        connections = max(1, self.settings.database_pool // 4)
        return self.database.reserve(connections, self.database.limits.at_most(**REQUESTS), "reads")


@dataclass(frozen=True)
class Components:
    """The components of a service. `provides` are the objects that its routes depend on, found by their types. `admin`
    are its own routes for operators, in addition to those that every service has. `states` returns what it knows of
    orders, by id; `erase` removes a customer's data from its own rows.

    `writers` are threads that requests write through. `on_drain` ends requests that would stay open for ever. Writers
    are stopped, and `on_stop` runs, once no request is left.
    """

    subscriptions: Sequence[Subscription] = ()
    job_queues: Sequence[JobQueue] = ()
    routers: Sequence[APIRouter] = ()
    admin: Sequence[APIRouter] = ()
    states: States | None = None
    erase: Erase | None = None
    tasks: Sequence[Task] = ()
    retentions: Sequence[Retention] = ()
    writers: Sequence[Loop] = ()
    provides: Sequence[object] = ()
    on_start: Sequence[Callable[[], None]] = ()
    on_drain: Sequence[Callable[[], None]] = ()
    on_stop: Sequence[Callable[[], None]] = ()

    def queues(self, lease: float) -> Sequence[JobQueue]:
        """Return the job queues with leases of so many seconds."""
        return [replace(one, lease_seconds=lease) for one in self.job_queues]


@dataclass(frozen=True)
class Service:
    """A service by name, with its settings and components. The last three fields exist so that a test can break
    them."""

    name: str
    package: str
    settings: type[Settings]
    build: Callable[[Context], Components]
    source: Callable[[Settings, str, Sequence[str], Identity], Source] = kafka.KafkaSource
    sink: Callable[[Settings], Sink] = kafka.KafkaSink
    deduplicate: Deduplicate = inbox.deduplicate
