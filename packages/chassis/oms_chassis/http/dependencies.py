"""Injects the objects that the composition root makes into routes, by type.

A route asks for `Annotated[Database, Depends(Provided(Database))]`; the composition root puts a Database into
`Components.provides`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from fastapi import APIRouter, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

T = TypeVar("T")


class Provided(Generic[T]):
    """A dependency: the one provided object of a type."""

    def __init__(self, kind: type[T]) -> None:
        self.kind = kind

    async def __call__(self, request: Request) -> T:
        """Return the object. Asynchronous because FastAPI would run a plain function in a thread."""
        provided: Mapping[type, Any] = request.app.state.provided
        found: T = provided[self.kind]
        return found


def provide(app: FastAPI, objects: Iterable[object], routers: Iterable[APIRouter]) -> None:
    """Make these objects available to the routes. Raises LookupError if a route depends on a type that is not among
    them."""
    app.state.provided = {type(one): one for one in objects}
    asking = [route.dependant for router in routers for route in router.routes if isinstance(route, APIRoute)]
    wanted = {one.kind for dependant in asking for one in calls(dependant, Provided)}
    missing = {kind.__qualname__ for kind in wanted if kind not in app.state.provided}
    if missing:
        raise LookupError(f"routes depend on what is not provided: {', '.join(sorted(missing))}")


def calls(dependant: Dependant, kind: type[T]) -> Iterator[T]:
    """Yield a route's dependencies of a type, including indirect ones."""
    for one in dependant.dependencies:
        if isinstance(one.call, kind):
            yield one.call
        yield from calls(one, kind)
