"""The service that the admin routes work on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends
from prometheus_client import CollectorRegistry

from oms_chassis.db import Database, Transaction
from oms_chassis.http.dependencies import Provided
from oms_chassis.jobs.queue import JobQueue
from oms_chassis.messaging.subscription import Subscription

States = Callable[[Database, Sequence[str]], Mapping[str, str]]
Erase = Callable[[Transaction, Sequence[str]], int]
Unread = Callable[[datetime], Mapping[str, int]]


@dataclass(frozen=True)
class AdministeredService:
    """A service by name, with everything that operators can inspect. `states` returns what it knows of subjects: the
    status of an order or a refund. `erase` removes a customer's data from its own rows about subjects. `unread` counts,
    by topic, the events from before a time that none of its replicas has processed, and raises StreamUnavailable
    without a broker."""

    name: str
    database: Database
    subscriptions: Sequence[Subscription] = ()
    job_queues: Sequence[JobQueue] = ()
    registry: CollectorRegistry | None = None
    states: States | None = None
    erase: Erase | None = None
    unread: Unread | None = None

    @property
    def lease(self) -> float:
        """Return for how many seconds a silent worker keeps a job, at most."""
        return max((one.lease_seconds for one in self.job_queues), default=0.0)

    def gauge(self, name: str, **labels: str) -> bool | None:
        """Whether a gauge of this process is above 0; None if there is no such gauge."""
        value = None if self.registry is None else self.registry.get_sample_value(name, labels)
        return None if value is None else value > 0


Administered = Annotated[AdministeredService, Depends(Provided(AdministeredService))]
