"""Queries about an application's routes: the query parameters that they declare, and the methods of a path."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import parse_qsl

from fastapi import params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.responses import StreamingResponse
from starlette.routing import BaseRoute

KEY = "Idempotency-Key"
UNKNOWN = "unknown"


def path(route: object) -> str:
    """Return a route's path with the names of its parameters instead of ids: for metrics, spans and logs."""
    return str(getattr(route, "path", UNKNOWN))


def at(routes: Sequence[BaseRoute], path: str) -> Iterator[RouteContext]:
    """Yield the routes of this path, whatever their methods."""
    return (one for one in iter_route_contexts(routes) if one.path_regex.match(path))


def take(routes: Sequence[BaseRoute], method: str, path: str) -> bool:
    """Whether there is a route for this method and path."""
    return any(method in (one.methods or ()) for one in at(routes, path))


def methods(routes: Sequence[BaseRoute], path: str) -> list[str]:
    """Return the methods of this path, as in an Allow header. A stream has no HEAD, which would never end."""
    found = [one for one in at(routes, path) if one.methods]
    own = {method for one in found for method in one.methods or ()}
    if any("GET" in (one.methods or ()) and not _is_stream(one.original_route) for one in found):
        own.add("HEAD")
    return sorted({*own, "OPTIONS"} if own else own)


def _is_stream(route: BaseRoute) -> bool:
    return isinstance(route, APIRoute) and route.response_class is StreamingResponse


def parameters(route: APIRoute) -> frozenset[str]:
    """Return the names of the query parameters that a route declares."""
    declared = get_flat_params(route.dependant)
    return frozenset(field.alias for field in declared if isinstance(field.field_info, params.Query))


def takes_key(route: object) -> bool:
    """Whether a route supports Idempotency-Key."""
    if not isinstance(route, APIRoute):
        return False
    described = (route.openapi_extra or {}).get("parameters", ())
    return KEY in {field.alias for field in get_flat_params(route.dependant)} | {one["name"] for one in described}


def mistakes(known: frozenset[str], query: bytes) -> Mapping[str, str]:
    """Return what is wrong with a query, by parameter: it is unknown, or given twice.

    If a misspelt filter were ignored, the answer would contain everything; of two values, one would be ignored.
    """
    given = Counter(name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    unknown = {name: "is not a parameter of this address" for name in given if name not in known}
    return unknown | {name: "must be given once" for name in known if given[name] > 1}
