"""The scopes that a route asks of its caller. Every route must declare them, so that none is open by accident.

@router.get("/order")
def list_orders(caller: Annotated[Caller, Depends(Needs("orders:read"))]) -> ...
"""

from collections.abc import Sequence
from dataclasses import dataclass
from re import Pattern

from fastapi import Request
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.routing import BaseRoute

from oms_chassis.http.dependencies import calls
from oms_chassis.http.identity.callers import CALLER, Caller


class Needs:
    """A dependency: the request's caller, who must have these scopes. Without scopes, the route is open to
    everybody."""

    def __init__(self, *scopes: str) -> None:
        self.scopes = scopes

    async def __call__(self, request: Request) -> Caller:
        """Return the caller. Raises ScopeMissing, or KeyError if there is no gate, so that no route is open without
        one."""
        caller: Caller = request.scope[CALLER]
        caller.check(self.scopes)
        return caller


@dataclass(frozen=True, slots=True)
class Requirement:
    """A route with the scopes that it asks for."""

    route: APIRoute
    methods: frozenset[str]
    path: Pattern[str]
    scopes: tuple[str, ...]


def requirements(routes: Sequence[BaseRoute]) -> list[Requirement]:
    """Return the requirements of an application's routes, in order. Raises LookupError if a route declares none."""
    return [
        Requirement(one.original_route, frozenset(one.methods or ()), one.path_regex, _scopes(one))
        for one in iter_route_contexts(routes)
        if isinstance(one.original_route, APIRoute)
    ]


def _scopes(route: RouteContext) -> tuple[str, ...]:
    needs = list(calls(route.dependant, Needs))
    if not needs:
        raise LookupError(f"{route.path} does not say what it asks of its caller: Depends(Needs(...))")
    return tuple(dict.fromkeys(scope for one in needs for scope in one.scopes))
