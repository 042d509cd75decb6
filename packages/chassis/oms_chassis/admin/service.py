"""What the admin routes of a service work on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends

from oms_chassis.db import Database
from oms_chassis.http.dependencies import Provided
from oms_chassis.jobs.queue import JobQueue
from oms_chassis.messaging.processing import Subscription


@dataclass(frozen=True)
class AdministeredService:
    """A service by name, with what operators look into. `condition` says what its loops are doing."""

    name: str
    database: Database
    subscriptions: Sequence[Subscription] = ()
    job_queues: Sequence[JobQueue] = ()
    condition: Callable[[], Mapping[str, object]] = field(default=dict)


Administered = Annotated[AdministeredService, Depends(Provided(AdministeredService))]
