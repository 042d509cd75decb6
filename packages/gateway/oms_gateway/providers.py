"""Gateways by name: entry points of the group `oms.gateways`, so that a provider is one module and one line.

The line is in the pyproject.toml of the package that has the module; the module has the two functions of `Provider`.
If a provider needs more than a service's settings (a secret key, a time limit), it reads its own.
"""

from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Annotated, Any

from pydantic import AfterValidator

from oms_gateway.contract import Gateway, Provider

GROUP = "oms.gateways"


def installed(name: str) -> str:
    """Return the name. Raises ValueError if no installed package has a provider of this name."""
    found = entry_points(group=GROUP)
    if name not in found.names:
        raise ValueError(f"is not installed here; installed: {', '.join(sorted(found.names)) or 'none'}")
    return name


GatewayName = Annotated[str, AfterValidator(installed)]  # as a setting


def provider(name: str) -> Provider:
    """Return the provider of this name. Raises ValueError if no installed package has it."""
    loaded: Provider = entry_points(group=GROUP)[installed(name)].load()
    return loaded


def operator_routes(provider: Provider, gateway: Gateway) -> Sequence[Any]:
    """Return the routers by which operators control this gateway, if its module has a function `operators` that makes
    them: the simulator can be asked to fail."""
    make = getattr(provider, "operators", None)
    return [] if make is None else [make(gateway)]
