"""Makes the FastAPI application of a service: problems for errors, limits for bodies and queries, a trace and metrics
for each request.

The middlewares are plain ASGI: Starlette's BaseHTTPMiddleware costs two thirds of the throughput.
"""

from collections.abc import Iterable, Sequence

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oms_chassis.http import browsers, dependencies, documents, errors, headers, problems, routes
from oms_chassis.http.direct import Direct
from oms_chassis.http.edge import Edge
from oms_chassis.http.errors import Failsafe
from oms_chassis.http.messages import Messages
from oms_chassis.http.observation import Observe
from oms_chassis.http.problems import BodyTooLarge, InvalidRequest, Problem
from oms_chassis.http.strictness import StrictJson
from oms_chassis.http.threads import Threaded, Threads
from oms_chassis.telemetry.metrics import Metrics

# FastAPI's own OpenTelemetry would send error messages and query strings to any provider in the process.
SILENT: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}


def create(
    title: str,
    routers: Sequence[APIRouter],
    provides: Iterable[object],
    metrics: Metrics,
    body_limit: int = 64 * 1024,
    prefix: str = "",
    *,
    edge: Edge | None = None,
) -> FastAPI:
    """Create the application. `provides` are the objects that its routes depend on; `edge` protects public routes.

    Raises LookupError if an object is missing, or if a public route does not declare the scopes that it needs. `prefix`
    is the path of the application's own documents; routers bring theirs.
    """
    app = FastAPI(
        title=title,
        openapi_url=f"{prefix}/openapi.json",
        docs_url=f"{prefix}/docs",
        redoc_url=None,
        responses=problems.ANY,
        redirect_slashes=False,  # a redirect would go to the request's Host, and without TLS behind a proxy
        telemetry=SILENT,
    )
    errors.install(app)
    documents.install(app)
    dependencies.provide(app, [*provides, threads := Threads()], routers)
    for router in routers:
        app.include_router(router)
    app.add_middleware(Threaded, threads=threads, routes=app.routes)
    app.add_middleware(Direct, routes=app.routes)
    app.add_middleware(StrictJson, routes=app.routes)
    app.add_middleware(StrictQuery, routes=app.routes)
    app.add_middleware(BodyLimit, limit=body_limit)
    if edge is not None:
        edge.install(app, metrics)
    app.add_middleware(Messages, routes=app.routes)
    app.add_middleware(Failsafe)
    if edge is not None:  # outermost, because a page cannot read an answer without these headers
        browsers.install(app, edge.settings)
    app.add_middleware(Observe, metrics=metrics, routes=app.routes)
    return app


class StrictQuery:
    """Refuses a query parameter that the route does not declare, or that is repeated, with 422."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app, self._routes = app, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = self._judged(scope) if scope["type"] == "http" and scope["query_string"] else None
        await (self._app if problem is None else problems.respond(problem))(scope, receive, send)

    def _judged(self, scope: Scope) -> Problem | None:
        for found in routes.at(self._routes, scope["path"]):
            route = found.original_route
            if isinstance(route, APIRoute) and scope["method"] in (route.methods or ()):
                scope["route"] = route  # for Observe: routing comes later
                mistakes = routes.mistakes(routes.parameters(route), scope["query_string"])
                return InvalidRequest.of_fields(mistakes) if mistakes else None
        return None


class BodyLimit:
    """Refuses a body over the limit with 413: by its Content-Length or, without one, while it is read."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = headers.first(scope, b"content-length")
        if length is not None and (not length.isdecimal() or int(length) > self._limit):
            await problems.respond(_too_large(self._limit))(scope, receive, send)
            return
        await self._measure(scope, receive, send)

    async def _measure(self, scope: Scope, receive: Receive, send: Send) -> None:
        received, answered = 0, False

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise _too_large(self._limit)
            return message

        async def guarded(message: Message) -> None:
            # FastAPI turns any error that is raised while it reads a body into a 400 of its own.
            nonlocal answered
            if received <= self._limit:
                await send(message)
            elif not answered:
                answered = True
                await problems.respond(_too_large(self._limit))(scope, receive, send)

        await self._app(scope, limited, guarded)


def _too_large(limit: int) -> Problem:
    return BodyTooLarge(detail=f"At most {limit} bytes are taken")
