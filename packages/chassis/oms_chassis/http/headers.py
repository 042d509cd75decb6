"""Headers as an ASGI scope has them: names in small letters, each as often as it was sent."""

from starlette.types import Scope


def values(scope: Scope, name: bytes) -> list[str]:
    """What a request's headers of this name say."""
    return [value.decode("latin-1") for one, value in scope["headers"] if one == name]


def first(scope: Scope, name: bytes) -> str | None:
    """The first of them, if there is any."""
    return next(iter(values(scope, name)), None)
