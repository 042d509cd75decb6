"""The admin application: a service's admin routes, on its internal port, for clients with a token."""

from collections.abc import Iterable, Sequence

from fastapi import APIRouter
from starlette.types import ASGIApp

from oms_chassis.admin import customers, deadletters, entries, evidence, jobs, outbox
from oms_chassis.admin.addressing import OnlyFor
from oms_chassis.admin.paging import PREFIX
from oms_chassis.admin.service import AdministeredService
from oms_chassis.admin.tokens import TokensOnly
from oms_chassis.http import app
from oms_chassis.telemetry.metrics import Metrics

COMMON = tuple(one.router for one in (customers, deadletters, entries, evidence, jobs, outbox))


def create(
    service: AdministeredService,
    routers: Sequence[APIRouter],
    provides: Iterable[object],
    tokens: Sequence[str],
    metrics: Metrics,
) -> ASGIApp | None:
    """Create the application with the routes that every service has, and those of this one. Return None if there is no
    token."""
    if not tokens:
        return None
    title = f"OMS {service.name}: admin API"
    made = app.create(title, [*COMMON, *routers], [*provides, service], metrics, prefix=PREFIX)
    return TokensOnly(OnlyFor(made, service.name), tokens)
