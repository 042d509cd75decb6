"""Calls routes that need nothing of the framework without it: its routers, stacks and dependency resolution take longer
than such a route's own work.

Only what a route declares makes it direct: a path without variables, and an async function that makes its Response
itself, from its request, provided objects and its caller. The middlewares of all routes apply to these, too, the same
handlers answer their errors, and the OpenAPI document describes them as any other.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_type_hints

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from oms_chassis.http import errors, routes
from oms_chassis.http.dependencies import Provided
from oms_chassis.http.identity.requirements import Needs

Dependency = Provided[Any] | Needs
Key = tuple[str, str]  # method and path


@dataclass(frozen=True, slots=True)
class DirectRoute:
    """A route's function and the dependencies that it takes, by parameter name. A dependency without a name is only
    checked."""

    route: BaseRoute
    call: Callable[..., Any]
    request_name: str | None
    dependencies: Sequence[tuple[str | None, Dependency]]

    async def answer(self, request: Request) -> Response:
        """Call the route and return its response. Raises what the route raises."""
        given: dict[str, Any] = {self.request_name: request} if self.request_name else {}
        for name, dependency in self.dependencies:
            value = await dependency(request)
            if name is not None:
                given[name] = value
        response: Response = await self.call(**given)
        return response


class Direct:
    """Calls direct routes, and leaves every other request to the framework."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app, self._found = app, found(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        direct = self._found.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if direct is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = direct.route  # for Observe
        request = Request(scope, receive)
        try:
            response = await direct.answer(request)
        except Exception as error:  # noqa: BLE001 - errors without a handler are raised again
            response = errors.answer(request, error)
        await response(scope, receive, send)


def found(routes: Sequence[BaseRoute]) -> Mapping[Key, DirectRoute]:
    """Return the direct routes among these, unless an earlier route takes the same requests."""
    return dict(pair for one in iter_route_contexts(routes) if _is_direct(one) for pair in _keyed(one, routes))


def _keyed(context: RouteContext, among: Sequence[BaseRoute]) -> Iterator[tuple[Key, DirectRoute]]:
    path, dependant = str(context.path), context.dependant
    asked = [(one.name, one.call) for one in dependant.dependencies]
    direct = DirectRoute(context.original_route, dependant.call, dependant.request_param_name, asked)
    for method in context.methods or ():
        first = next(one for one in routes.at(among, path) if method in (one.methods or ()))
        if first.endpoint is context.endpoint:
            yield (method, path), direct


def _is_direct(context: RouteContext) -> bool:
    if not isinstance(context.original_route, APIRoute) or "{" in str(context.path):
        return False
    return _makes_its_response(context.endpoint) and _asks_for_nothing_else(context.dependant)


def _makes_its_response(endpoint: Callable[..., Any] | None) -> bool:
    if not inspect.iscoroutinefunction(endpoint):
        return False
    made = get_type_hints(endpoint).get("return")
    return inspect.isclass(made) and issubclass(made, Response)


def _asks_for_nothing_else(dependant: Dependant) -> bool:
    if not all(isinstance(one.call, (Provided, Needs)) for one in dependant.dependencies):
        return False
    names = {dependant.request_param_name, *(one.name for one in dependant.dependencies)}
    return dependant.call is not None and names >= inspect.signature(dependant.call).parameters.keys()
