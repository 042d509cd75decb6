"""Failures that the simulators have switches for (docs/failures.md), as faults: the gateway's by the payment service's
admin API, those of the receivers of messages by the mail catcher's."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
from support.chassis import eventually
from support.proxied import ProxiedPlatform

from chaos.operators import admin_of
from oms_servers.errors import LocalError

_GATEWAY = "/admin/simulator/failures"
_WITHIN = 60.0  # seconds for a service to answer that another fault holds up


@dataclass(frozen=True)
class Switch:
    """`seconds` and `times` as `oms fail set` has them; `copies` are the emails that come twice for it."""

    seconds: float = 1.0
    times: int | None = None
    copies: int = 0


# A text that is refused for good notifies nobody, and what the customer's bank has taken back of an order that is
# cancelled then is for a person to note.
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
        "slow": Switch(seconds=7.0),  # not longer than the service waits
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
MAIL_BOUNDS = {"OMS_SMTP_MAIL_TIMEOUT": "10"}  # of the service
NO_CHARGES = ("unavailable", "timeout", "lost-answer", "late")  # what fails for a while may be given up
NO_REFUNDS = ("refund-refused", "refund-fails", "refund-fails-later")


@contextmanager
def switched(proxied: ProxiedPlatform, target: str, kind: str) -> Iterator[None]:
    """A simulator that fails."""
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
