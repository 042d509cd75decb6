"""Gateways by name: entry points of the group `oms.gateways`, so that a provider is one module and one line.

The line is in the pyproject.toml of the package that has the module; the module has the two functions of `Provider`.
What it needs beyond a service's settings (a secret key, a time limit) it reads from settings of its own.
"""

from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Annotated, Any

from pydantic import AfterValidator

from oms_gateway.contract import Gateway, Provider

GROUP = "oms.gateways"


def installed(name: str) -> str:
    """The name, if one of the installed packages has a provider of it. Raises ValueError."""
    found = entry_points(group=GROUP)
    if name not in found.names:
        raise ValueError(f"is not installed here; installed: {', '.join(sorted(found.names)) or 'none'}")
    return name


GatewayName = Annotated[str, AfterValidator(installed)]  # as a setting


def provider(name: str) -> Provider:
    """The provider of this name. Raises ValueError if none of the installed packages has it."""
    loaded: Provider = entry_points(group=GROUP)[installed(name)].load()
    return loaded


def operator_routes(provider: Provider, gateway: Gateway) -> Sequence[Any]:
    """The routers by which operators set this gateway, if its module has a function `operators` that makes some: the
    simulator's can be asked to fail."""
    make = getattr(provider, "operators", None)
    return [] if make is None else [make(gateway)]
