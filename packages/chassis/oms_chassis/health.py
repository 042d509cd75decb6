"""Liveness and readiness, on the internal port that no ingress sees."""

import asyncio
import time
from collections.abc import Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from oms_chassis.db import Database
from oms_chassis.problems import Failsafe

Check = Callable[[], bool]
TRUST = 0.5  # seconds for which a check of the database is believed, so that probes cost little


class Health:
    """What probes ask. Kafka's own state is no part of readiness: an order can be accepted while it is away."""

    def __init__(self, database: Database, checks: Mapping[str, Check]) -> None:
        self._database, self._checks = database, dict(checks)
        self._seen: tuple[float, bool] = (float("-inf"), False)
        self.draining = False

    def database_answers(self) -> bool:
        """Whether the database answered, now or a moment ago."""
        at, answered = self._seen
        if time.monotonic() - at > TRUST:
            answered = _answers(self._database)
            self._seen = (time.monotonic(), answered)
        return answered

    def readiness(self) -> dict[str, bool]:
        """Each condition of being ready, by name."""
        checks = {name: check() for name, check in self._checks.items()}
        return {"serving": not self.draining, "database": self.database_answers(), **checks}


def _answers(database: Database) -> bool:
    try:
        database.read("SELECT 1")
    except Exception:  # noqa: BLE001 - whatever the reason, the answer is no
        return False
    return True


def internal_app(health: Health, registry: CollectorRegistry, refresh: Callable[[], None]) -> Starlette:
    """/livez, /readyz and /metrics. `refresh` brings the gauges up to date that stand for what is in the database."""

    async def livez(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        conditions = await asyncio.to_thread(health.readiness)
        return JSONResponse(conditions, 200 if all(conditions.values()) else 503)

    async def metrics(_: Request) -> Response:
        await asyncio.to_thread(refresh)
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    routes = [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]
    return Starlette(routes=routes, middleware=[Middleware(Failsafe)])
