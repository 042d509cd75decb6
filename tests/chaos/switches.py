"""Faults for the failures that can be switched on in the simulators (docs/failures.md): the gateway's through the
payment service's admin API, those of the receivers of messages through the mail catcher's."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
from support.chassis import eventually
from support.proxied import ProxiedPlatform

from chaos.operators import admin_of
from oms_servers.errors import LocalError

_GATEWAY = "/admin/simulator/failures"
_WITHIN = 60.0  # seconds for a service to answer while another fault delays it


@dataclass(frozen=True)
class Switch:
    """A failure, with `seconds` and `times` as in `oms fail set`; because of it, `copies` emails arrive twice."""

    seconds: float = 1.0
    times: int | None = None
    copies: int = 0


# After an SMS that is refused for good, a customer is not notified; and if the customer's bank reverses the charge of
# an order that is then cancelled, a person has to record that.
LEFT_OUT: Mapping[str, Sequence[str]] = {"gateway": ("chargeback",), "mail": (), "sms": ("refused",)}
SWITCHES: Mapping[str, Mapping[str, Switch]] = {
    "gateway": {
        "unavailable": Switch(),
        "timeout": Switch(),
        "lost-answer": Switch(),
        "slow": Switch(seconds=2.0),
        "late": Switch(),
        "429": Switch(seconds=2.0),
        "401": Switch(),
        "refund-refused": Switch(),
        "refund-pending": Switch(seconds=2.0),
        "refund-fails": Switch(seconds=2.0),
        "refund-fails-later": Switch(seconds=2.0),
    },
    "mail": {
        "greylist": Switch(),
        "4xx": Switch(),
        "5xx": Switch(),
        "drop": Switch(times=8, copies=8),
        "slow": Switch(seconds=7.0),  # no longer than the service waits
        "drip": Switch(seconds=12.0, times=4, copies=4),  # longer
    },
    "sms": {
        "429": Switch(seconds=2.0),
        "401": Switch(),
        "500": Switch(),
        "lost-answer": Switch(),
        "slow": Switch(),
        "drip": Switch(seconds=8.0, times=4),
    },
}
MAIL_BOUNDS = {"OMS_SMTP_MAIL_TIMEOUT": "10"}  # settings of the service
NO_CHARGES = ("unavailable", "timeout", "lost-answer", "late")  # failures of charges, which may be given up on
NO_REFUNDS = ("refund-refused", "refund-fails", "refund-fails-later")


@contextmanager
def switched(proxied: ProxiedPlatform, target: str, kind: str) -> Iterator[None]:
    """Let a simulator fail during the block."""
    switch = SWITCHES[target][kind]
    failure = {"target": target, "kind": kind, "times": switch.times, "seconds": switch.seconds}
    ask = _gateway(proxied) if target == "gateway" else _catcher(proxied)
    eventually(lambda: ask("PUT", failure), _WITHIN)
    try:
        yield
    finally:
        eventually(lambda: ask("DELETE", {}), _WITHIN)


Ask = Callable[[str, Mapping[str, object]], bool]


def _gateway(proxied: ProxiedPlatform) -> Ask:
    admin = admin_of(proxied, "chaos")

    def ask(method: str, failure: Mapping[str, object]) -> bool:
        try:
            admin.all("payment", _GATEWAY, method, **failure)
        except LocalError:
            return False
        return True

    return ask


def _catcher(proxied: ProxiedPlatform) -> Ask:
    url = f"{proxied.platform.mailcatcher_url}/failures"

    def ask(method: str, failure: Mapping[str, object]) -> bool:
        return httpx2.request(method, url, json=failure or None, timeout=10.0).raise_for_status().is_success

    return ask
