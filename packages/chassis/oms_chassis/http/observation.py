"""Measures each request, and runs it within its trace."""

import time
from collections.abc import Sequence

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oms_chassis.http import headers, routes
from oms_chassis.telemetry import spans, tracing
from oms_chassis.telemetry.metrics import Metrics

CLIENT_GONE = 499  # nginx's status for requests whose client has disconnected: not the service's fault


class Observe:
    """Measures every request by its route (never by its path, which contains ids), and runs it within its trace."""

    def __init__(self, app: ASGIApp, metrics: Metrics, routes: Sequence[BaseRoute]) -> None:
        self._app, self._requests, self._routes = app, metrics.http_requests, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, began, status = time.perf_counter(), time.time_ns(), CLIENT_GONE  # until there is an answer
        parent = headers.first(scope, b"traceparent")

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            with tracing.within(parent) as step:
                await self._app(scope, receive, observed)
        except BaseException:  # cancelled because the process ends
            status = 500 if status == CLIENT_GONE else status
            raise
        finally:
            elapsed = time.perf_counter() - started
            route = self._route(scope)
            self._requests.labels(scope["method"], route, str(status)).observe(elapsed)
            if spans.are_on():
                _record(scope["method"], route, status, step, parent, began)

    def _route(self, scope: Scope) -> str:
        """Return the route of a request, even if it was refused before routing."""
        if "route" in scope:
            return routes.path(scope["route"])
        found = list(routes.at(self._routes, scope["path"]))
        of_method = (one for one in found if scope["method"] in (one.methods or ()))
        return next((routes.path(one.original_route) for one in (*of_method, *found)), routes.UNKNOWN)


def _record(method: str, route: str, status: int, step: str, parent: str | None, began: int) -> None:
    attributes: dict[str, str | int] = {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": status,
    }
    failed = status >= 500
    spans.record(f"{method} {route}", "server", step, parent, began, failed=failed, attributes=attributes)
