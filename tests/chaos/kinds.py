"""The kinds of faults, the targets of each, and the resources that each needs for itself."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta

from incidents import faults, poison
from incidents.bounds import COPIES
from support import clocks, disks
from support.network import Proxy
from support.proxied import ProxiedPlatform

from chaos.excuses import Excuses, Happened
from chaos.rounds import Kind
from chaos.schedule import Planned
from chaos.switches import NO_CHARGES, NO_REFUNDS, SWITCHES, switched
from oms_contracts.topics import SERVICES
from oms_servers.server import Server

Block = Callable[[ProxiedPlatform, str], AbstractContextManager[None]]
DATABASES = tuple(f"{name}-database" for name in SERVICES)
RECEIVERS = ("smtp", "sms")
ALL = ("all",)
ON_OWN_DISK = ("order",)  # services
JUMP = 5400  # seconds: no longer than an order may wait, but longer than any job takes
_REFUSING = {"payment": "payment", "inventory": "allocation", "sms": "message", "email": "message"}
_LOCKED = {"order": "orders", "payment": "payment", "inventory": "item", "sms": "job", "email": "job"}


def _server(proxied: ProxiedPlatform, name: str) -> Server:
    platform = proxied.platform
    if name in DATABASES:
        return platform.databases[name.removesuffix("-database")]
    return platform.kafka if name == "kafka" else platform.services[name]


def _proxy(proxied: ProxiedPlatform, name: str) -> Proxy:
    network = proxied.network
    if name in DATABASES:
        return network.databases[name.removesuffix("-database")]
    return {"kafka": network.kafka, "smtp": network.smtp, "sms": network.sms}[name]


def _of_server(fault: Callable[[Server], AbstractContextManager[None]]) -> Block:
    return lambda proxied, target: fault(_server(proxied, target))


def _of_proxy(fault: Callable[[Proxy], AbstractContextManager[None]]) -> Block:
    return lambda proxied, target: fault(_proxy(proxied, target))


def _read_only(proxied: ProxiedPlatform, target: str) -> AbstractContextManager[None]:
    return faults.read_only(proxied.platform.databases[target.removesuffix("-database")])


def _full(proxied: ProxiedPlatform, target: str) -> AbstractContextManager[None]:
    return disks.full(proxied.platform.databases[target.removesuffix("-database")])


def _locked(proxied: ProxiedPlatform, target: str) -> AbstractContextManager[None]:
    name = target.removesuffix("-database")
    return faults.locked(proxied.platform.databases[name], _LOCKED[name])


def _refusing(proxied: ProxiedPlatform, target: str) -> AbstractContextManager[None]:
    name = target.removesuffix("-database")
    return faults.refusing_some(proxied.platform.databases[name], _REFUSING[name])


def _renamed(proxied: ProxiedPlatform, target: str) -> AbstractContextManager[None]:
    return faults.renamed(proxied.platform.databases["inventory"], "item", "on_hand")


def _another_release(proxied: ProxiedPlatform, target: str) -> AbstractContextManager[None]:
    return faults.of_another_release(proxied.platform.services[target], proxied.platform.databases[target])


def _overloaded(proxied: ProxiedPlatform, target: str) -> AbstractContextManager[None]:
    return faults.answering_503(proxied.network.sms, proxied.platform.at.mailcatcher)


def _switching(simulator: str, *also: str) -> Kind[ProxiedPlatform]:
    """Return the fault of a simulator; its targets are the ways in which the simulator can fail."""
    return Kind(
        tuple(SWITCHES[simulator]), lambda proxied, target: switched(proxied, simulator, target), frozenset(also)
    )


def _poison(proxied: ProxiedPlatform, target: str) -> AbstractContextManager[None]:
    return faults.at_once(lambda: poison.burst(proxied.platform.kafka.bootstrap))


@contextmanager
def _rolled(proxied: ProxiedPlatform, target: str) -> Iterator[None]:
    """Restart every service, one after the other."""
    for service in proxied.platform.services.values():
        service.restart()
    yield


@contextmanager
def _replica(proxied: ProxiedPlatform, target: str) -> Iterator[None]:
    """Let a second process join its service and leave it."""
    replica = proxied.replica(target)
    replica.start()
    yield
    replica.stop()


@contextmanager
def _rewound(proxied: ProxiedPlatform, target: str) -> Iterator[None]:
    """Redeliver everything that a service has read in the last minutes."""
    service = proxied.platform.services[target]
    service.stop()
    since = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    command = [sys.executable, "-m", f"oms_{target}.main", "rewind", "--since", since]
    try:
        done = subprocess.run(command, env={**os.environ, **service.environment()}, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        yield
    finally:
        service.start()
        service.await_ready()


def _jumped(seconds: int) -> Kind[ProxiedPlatform]:
    """Return the fault of a clock that is wrong by this much for a while, as if somebody had set it."""

    def wrong(proxied: ProxiedPlatform, target: str) -> AbstractContextManager[None]:
        return clocks.jumped(proxied.clocks[target.removesuffix("-database")], seconds)

    return Kind(DATABASES, wrong, obstacle=clocks.obstacle)


KINDS: Mapping[str, Kind[ProxiedPlatform]] = {
    "process killed": Kind((*SERVICES, "kafka", *DATABASES), _of_server(faults.killed)),
    "process suspended": Kind((*SERVICES, "kafka", *DATABASES), _of_server(faults.suspended)),
    "process restarted": Kind((*SERVICES, "kafka", *DATABASES), _of_server(faults.stopped)),
    "all services restarted in turn": Kind(ALL, _rolled),
    "second replica joins and leaves": Kind(SERVICES, _replica),
    "old release on a newer schema": Kind(SERVICES, _another_release),
    "connections cut": Kind((*DATABASES, "kafka", *RECEIVERS), _of_proxy(faults.cut)),
    "silence": Kind((*DATABASES, "kafka", *RECEIVERS), _of_proxy(faults.silent)),
    "connections lead nowhere": Kind((*DATABASES, "kafka", *RECEIVERS), _of_proxy(faults.forgotten)),
    "connections refused": Kind((*DATABASES, "kafka", *RECEIVERS), _of_proxy(faults.refusing)),
    "far away": Kind((*DATABASES, "kafka", *RECEIVERS), _of_proxy(lambda proxy: faults.slow(proxy, 0.2))),
    "thin line": Kind((*DATABASES, "kafka", *RECEIVERS), _of_proxy(lambda proxy: faults.narrow(proxy, 20_000))),
    "database demoted": Kind(DATABASES, _read_only),
    "disk full": Kind(tuple(f"{name}-database" for name in ON_OWN_DISK), _full, obstacle=disks.obstacle),
    "table locked": Kind(DATABASES, _locked),
    "events refused, and redriven": Kind(tuple(f"{name}-database" for name in _REFUSING), _refusing),
    "column missing": Kind(("inventory-database",), _renamed),
    "provider overloaded": Kind(("sms",), _overloaded),
    "gateway fails": _switching("gateway", "payment", "payment-database"),
    "mail server fails": _switching("mail", *RECEIVERS),  # both at once: their switches are turned off together
    "SMS provider fails": _switching("sms", *RECEIVERS),
    "poison on every topic": Kind(("kafka",), _poison, letters=poison.letters),
    "clock goes forward": _jumped(JUMP),
    "clock goes back": _jumped(-JUMP),
    "events delivered again": Kind(SERVICES, _rewound, frozenset({"kafka"})),
}
HARMLESS_TO_RELAYS = {"second replica joins and leaves"}  # no event is sent twice because of these
TARGETS = {name: kind.targets for name, kind in KINDS.items()}


def touched(kind: str, target: str) -> frozenset[str]:
    """Return what a fault needs for itself: its target, and for a database or service what restarts the other."""
    restarts_services = {"old release on a newer schema", "events delivered again", "process killed"}
    if target == "all":
        return frozenset({*SERVICES, *DATABASES, "kafka", *RECEIVERS})
    own = {target, *KINDS[kind].also}
    if kind in restarts_services and target in SERVICES:
        own.add(f"{target}-database")
    return frozenset(own)


def copies(kind: str, target: str) -> int:
    """Return how many emails may arrive twice because of a fault: those whose outcome is unknown when the connection to
    the mail server breaks, or when the server accepts them without saying so. Kafka plays no part: a mail is a job in
    the email service's own database."""
    if kind == "mail server fails":
        return SWITCHES["mail"][target].copies
    return COPIES if target in {"email", "email-database", "smtp", "all"} else 0


def excuses(happened: Sequence[Happened]) -> Excuses:
    """Return the faults because of which calls of the gateway fail, for charges and for refunds."""
    failing = [one for one in happened if one.planned.kind == "gateway fails"]
    return Excuses(
        charges=[one for one in failing if one.planned.target in NO_CHARGES],
        refunds=[one for one in failing if one.planned.target in NO_REFUNDS],
    )


def name(planned: Planned) -> str:
    """Return the name of a fault: its kind, and its target if that says what goes wrong."""
    is_switch = planned.kind in {"gateway fails", "mail server fails", "SMS provider fails"}
    return f"{planned.kind}: {planned.target}" if is_switch else planned.kind
