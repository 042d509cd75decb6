"""The public edge of an application: the gate, and headers for browsers."""

from dataclasses import dataclass, field

from fastapi import FastAPI

from oms_chassis.access import AccessSettings
from oms_chassis.db import Database
from oms_chassis.http.identity import documents
from oms_chassis.http.identity.authentication import Authentication
from oms_chassis.http.identity.gate import Gate
from oms_chassis.http.identity.rates import RateLimit
from oms_chassis.http.identity.requirements import requirements
from oms_chassis.telemetry.metrics import Metrics


@dataclass(frozen=True)
class Edge:
    """The settings of a service's edge, and how its callers authenticate."""

    settings: AccessSettings
    authentication: Authentication = field(default_factory=Authentication)

    @classmethod
    def of(cls, settings: AccessSettings, database: Database) -> "Edge":
        """Return the edge for a service's settings. Nothing connects yet."""
        return cls(settings, Authentication.of(settings, database))

    @classmethod
    def open(cls) -> "Edge":
        """Return the edge with default settings: callers need not authenticate."""
        return cls(AccessSettings.model_construct())

    def install(self, app: FastAPI, metrics: Metrics) -> None:
        """Put the gate before the routes of an application, which must be complete. Raises LookupError as
        `requirements` does."""
        asked = requirements(app.routes)
        limit = RateLimit(self.settings.rate_limit) if self.settings.rate_limit else None
        app.add_middleware(
            Gate, authentication=self.authentication, requirements=asked, rate_limit=limit, metrics=metrics
        )
        documents.install(app, self.settings, asked)
