"""Serves liveness, readiness, metrics and the AsyncAPI document, on the internal port that no ingress exposes."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from oms_chassis.db import Database
from oms_chassis.http.deadlines import Shared
from oms_chassis.http.errors import HANDLERS, Failsafe
from oms_chassis.http.messages import Messages
from oms_contracts import asyncapi

Check = Callable[[], bool]
TRUST = 0.5  # seconds for which a check of the database is cached, so that probes cost little
PROBE_TIMEOUT = 2.0  # seconds until a probe or a scrape is answered without the database: before the client gives up


class Health:
    """The state that probes ask for. Kafka is no part of readiness: orders can be accepted while it is unavailable."""

    def __init__(
        self, database: Database, checks: Mapping[str, Check], stalled: Callable[[], Sequence[str]] = tuple
    ) -> None:
        self._database, self._checks, self.stalled = database, dict(checks), stalled
        self._seen: tuple[float, bool] = (float("-inf"), False)
        self.draining = False

    def database_answers(self) -> bool:
        """Whether the database answered, now or a moment ago."""
        at, answered = self._seen
        if time.monotonic() - at > TRUST:
            answered = _answers(self._database)
            self._seen = (time.monotonic(), answered)
        return answered

    def readiness(self, database: bool) -> dict[str, bool]:
        """Return each condition of readiness by name, including whether the database answers."""
        checks = {name: check() for name, check in self._checks.items()}
        return {"serving": not self.draining, "database": database, **checks}


def _answers(database: Database) -> bool:
    """Whether the database answers and accepts writes: a demoted one does not."""
    try:
        return str(database.execute("SHOW transaction_read_only")[0][0]) == "off"
    except Exception:  # noqa: BLE001 - whatever the reason, the answer is no
        return False


@cache
def _events(service: str) -> bytes:
    """Return the AsyncAPI document of a service, which never changes."""
    return json.dumps(asyncapi.application(service), ensure_ascii=False).encode()


def internal_app(
    service: str,
    health: Health,
    registry: CollectorRegistry,
    refresh: Callable[[], None],
    admin: ASGIApp | None = None,
) -> Starlette:
    """Return the application with /livez, /readyz, /metrics and /asyncapi.json. `refresh` updates the gauges that are
    read from the database; `admin` answers everything below /admin."""

    database, gauges = Shared(health.database_answers), Shared(refresh)

    async def livez(_: Request) -> Response:
        stalled = list(health.stalled())
        return JSONResponse({"status": "stalled" if stalled else "ok", "threads": stalled}, 503 if stalled else 200)

    async def readyz(_: Request) -> Response:
        conditions = health.readiness(await database.in_time(PROBE_TIMEOUT, otherwise=False))
        return JSONResponse(conditions, 200 if all(conditions.values()) else 503)

    async def metrics(_: Request) -> Response:
        await gauges.in_time(PROBE_TIMEOUT, otherwise=None)
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    async def events(_: Request) -> Response:
        return Response(_events(service), media_type="application/json")

    pages = {"/livez": livez, "/readyz": readyz, "/metrics": metrics, "/asyncapi.json": events}
    routes = [Route(path, page) for path, page in pages.items()]
    below = [Middleware(Below, prefix="/admin/", app_below=admin)] if admin is not None else []
    methods = Middleware(Messages, routes=routes)
    app = Starlette(
        routes=routes, middleware=[Middleware(Failsafe), *below, methods], exception_handlers=dict(HANDLERS)
    )
    app.router.redirect_slashes = False  # as at the public port
    return app


class Below:
    """Passes requests for paths below a prefix to another application, which sees the whole path."""

    def __init__(self, app: ASGIApp, prefix: str, app_below: ASGIApp) -> None:
        self._app, self._prefix, self._below = app, prefix, app_below

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_below = scope["type"] == "http" and scope["path"].startswith(self._prefix)
        await (self._below if is_below else self._app)(scope, receive, send)
