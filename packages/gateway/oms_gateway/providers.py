"""Which gateway to use, by the name that the settings give it. Another provider: one more module and two more lines."""

from collections.abc import Callable
from typing import TypeVar

from oms_gateway.contract import Gateway, Tokeniser
from oms_gateway.simulator import SimulatedGateway, SimulatedTokeniser

Provider = TypeVar("Provider")

_TOKENISERS: dict[str, Callable[[], Tokeniser]] = {"simulator": SimulatedTokeniser}
_GATEWAYS: dict[str, Callable[[str], Gateway]] = {"simulator": SimulatedGateway}


def tokeniser(name: str) -> Tokeniser:
    """The tokeniser of this gateway. Raises ValueError for a name that is none."""
    return _named(_TOKENISERS, name)()


def gateway(name: str, url: str) -> Gateway:
    """The gateway of this name, reached at `url` (for the simulator: its ledger's database). Raises ValueError."""
    return _named(_GATEWAYS, name)(url)


def _named(providers: dict[str, Provider], name: str) -> Provider:
    if name not in providers:
        raise ValueError(f"OMS_GATEWAY is {name!r}; it can be {', '.join(providers)}")
    return providers[name]
