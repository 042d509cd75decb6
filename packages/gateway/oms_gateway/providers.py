"""Gateways by name: entry points of the group `oms.gateways`, so that a provider is one module and one line.

The line is in the pyproject.toml of the package that has the module; the module has the two functions of `Provider`.
What it needs beyond a service's settings (a secret key, a time limit) it reads from settings of its own.
"""

from importlib.metadata import entry_points

from oms_gateway.contract import Provider

GROUP = "oms.gateways"


def provider(name: str) -> Provider:
    """The provider of this name. Raises ValueError if none of the installed packages has it."""
    found = entry_points(group=GROUP)
    if name not in found.names:
        installed = ", ".join(sorted(found.names)) or "none"
        raise ValueError(f"OMS_GATEWAY is {name!r}, which is not installed here; installed: {installed}")
    loaded: Provider = found[name].load()
    return loaded
