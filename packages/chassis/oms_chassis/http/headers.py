"""Reads headers from an ASGI scope, where names are lower-case and each may occur several times."""

from starlette.types import Scope


def values(scope: Scope, name: bytes) -> list[str]:
    """Return the values of a request's headers with this name."""
    return [value.decode("latin-1") for one, value in scope["headers"] if one == name]


def first(scope: Scope, name: bytes) -> str | None:
    """Return the first value of the header, if there is any."""
    return next(iter(values(scope, name)), None)
