"""The admin API of a running service."""

from functools import partial

from starlette.types import ASGIApp

from oms_chassis.admin import app as admin
from oms_chassis.admin import keys
from oms_chassis.admin.service import AdministeredService
from oms_chassis.db import Database
from oms_chassis.messaging import kafka
from oms_chassis.runtime.service import Components
from oms_chassis.settings import Settings
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts import topics


def app(name: str, settings: Settings, database: Database, components: Components, metrics: Metrics) -> ASGIApp | None:
    """Return the application of a service's admin routes; None if there is no token for it."""
    service = AdministeredService(
        name,
        database,
        components.subscriptions,
        components.queues(settings.job_lease_seconds),
        metrics.registry,
        components.states,
        components.erase,
        partial(kafka.awaited, settings, name, list(topics.read_by(name))) if components.subscriptions else None,
    )
    routers = [*components.admin, *([keys.router] if components.routers else [])]
    return admin.create(service, routers, components.provides, settings.admin_tokens, metrics)
