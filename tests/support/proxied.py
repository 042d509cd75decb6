"""A platform whose services reach each server through a proxy."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from oms_contracts.topics import SERVICES
from oms_platform import services
from oms_platform.addresses import HOST, Addresses
from oms_platform.platform import Platform
from oms_platform.services import HttpServer
from oms_servers.ports import free_port
from oms_servers.postgres import NO_FSYNC
from support import catalogue, disks
from support.clocks import Clock
from support.network import Proxy
from support.programs import UNMEASURED
from support.proxies import proxies

# By RFC 5321, the last answer to a mail may take ten minutes, for which no test waits.
SMTP_BOUNDS = {"OMS_SMTP_TIMEOUT": "5", "OMS_SMTP_MAIL_TIMEOUT": "5"}

READY = 120.0  # seconds until a program must answer, however it was ended, and however busy the machine is


@dataclass(frozen=True)
class Network:
    """The proxies: one for each service's database, and the others shared by all services."""

    databases: Mapping[str, Proxy]
    kafka: Proxy
    smtp: Proxy
    sms: Proxy
    more: Mapping[str, str]  # variables of a service's environment

    def heal(self) -> None:
        """End all faults."""
        for one in (*self.databases.values(), self.kafka, self.smtp, self.sms):
            one.heal()

    def environment(self, name: str) -> dict[str, str]:
        """Return the variables that lead a service through the proxies."""
        own = {
            "sms": {"OMS_SMS_URL": f"http://{HOST}:{self.sms.port}/sms"},
            "email": {"OMS_SMTP_PORT": str(self.smtp.port), **SMTP_BOUNDS},
        }
        return {
            **UNMEASURED,
            **catalogue.ENVIRONMENT.get(name, {}),
            "OMS_DATABASE_URL": f"postgresql://oms:oms@{HOST}:{self.databases[name].port}/oms",
            "OMS_KAFKA_BOOTSTRAP": f"{HOST}:{self.kafka.port}",
            **own.get(name, {}),
            **self.more,
        }


@dataclass(frozen=True)
class ProxiedPlatform:
    """The platform, and the network through which its services see it."""

    platform: Platform
    network: Network
    clocks: Mapping[str, Clock]  # of the databases, by service, if they have clocks of their own

    def restore(self) -> None:
        """End all faults of the network, and return once everything runs and answers."""
        self.network.heal()
        for server in reversed(self.platform.servers):
            server.start()
            server.await_ready()

    def replica(self, name: str, more: Mapping[str, str] = {}) -> HttpServer:
        """Return another process of a service, not started yet, with further variables in its environment."""
        log = self.platform.services[name].log.with_name(f"{name}-2.log")
        replica = services.service(name, Addresses.free(), log, "", extra={**self.network.environment(name), **more})
        replica.ready_seconds = READY
        return replica


def metrics(service: HttpServer) -> str:
    """Return the metrics of a service; empty if it does not answer."""
    try:
        return httpx2.get(f"http://{HOST}:{service.ready[0]}/metrics", timeout=5.0).text
    except httpx2.TransportError:
        return ""


@contextmanager
def proxied_platform(
    folder: Path, more: Mapping[str, str] = {}, on_own_disk: Sequence[str] = (), *, own_clocks: bool = False
) -> Iterator[ProxiedPlatform]:
    """Run a platform with further variables in its services' environment, which is killed at the end of the block. If
    possible, the databases of some services are on disks of their own, and all have clocks of their own."""
    at, listener = Addresses.free(), free_port()
    with ExitStack() as stack:
        proxy = stack.enter_context(proxies())

        def before(port: int) -> Proxy:
            return proxy(f"tcp://{HOST}:{port}")

        databases = {name: before(at.database[name]) for name in SERVICES}
        clocks = {name: Clock(folder / "clocks" / name) for name in SERVICES} if own_clocks else {}
        network = Network(databases, before(listener), before(at.smtp), before(at.mailcatcher), more)
        environment = {name: network.environment(name) for name in SERVICES}
        behind = (listener, network.kafka.port)
        made = Platform(folder, at, environment=environment, postgres=NO_FSYNC, behind=behind)
        for server in made.servers:
            server.ready_seconds = READY
        for name, clock in clocks.items():
            made.databases[name].more = clock.environment()
        for name in on_own_disk:
            stack.enter_context(disks.own_disk(made.databases[name]))
        with made as platform:
            catalogue.await_known(platform.url)
            yield ProxiedPlatform(platform, network, clocks)
            platform.kill()  # nobody needs its data, so it need not end in an orderly way
