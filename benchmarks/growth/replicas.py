"""Measures orders per second with one replica of each service, and with two.

Each process of a service gets a small share of a core, so that the databases and Kafka, which they share, have the rest
of the machine.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.growth.quota import bounded
from benchmarks.load import flood
from benchmarks.runs import await_notified, port, system, warm_up
from oms_contracts.topics import SERVICES
from oms_platform import services
from oms_platform.addresses import Addresses
from oms_platform.platform import Platform
from oms_platform.services import HttpServer

SHARE = 0.1  # of a core, for each process of a service: ten of them leave half of two cores to everything else
CONNECTIONS = 64  # of the load generator, divided among the replicas


def throughput(replicas: int, orders: int) -> float:
    """Return the orders per second until the customer of the last one was notified, on a system of its own."""
    with system("oms") as platform, _more(platform, replicas - 1) as others:
        processes = [*platform.services.values(), *others]
        pids = [one.pid for one in processes if one.pid is not None]
        ports = [port(platform), *(one.listens[0] for one in others if one.name == "order")]
        warmed = warm_up(platform)
        with bounded(pids, SHARE):
            began = time.perf_counter()
            accepted = asyncio.run(_flood_all(ports, orders))
            await_notified(platform, warmed + accepted)
            return accepted / (time.perf_counter() - began)


@contextmanager
def _more(platform: Platform, replicas: int) -> Iterator[list[HttpServer]]:
    """Run further processes of each service, which share the platform's databases, topics and mail catcher."""
    made = [_replica(platform, name) for _ in range(replicas) for name in SERVICES]
    with ExitStack() as stack:
        for one in made:
            stack.enter_context(one)
        yield made


def _replica(platform: Platform, name: str) -> HttpServer:
    at, own = platform.at, Addresses.free()
    shared = Addresses(own.http, own.internal, at.database, at.kafka, at.controller, at.smtp, at.mailcatcher)
    log = platform.folder / "logs" / f"{name}-{own.internal[name]}.log"
    environment = {"OMS_STATE_FOLDER": str(platform.folder / "data"), "OMS_LOG_LEVEL": "WARNING"}
    return services.service(name, shared, log, platform.databases[name].url, extra=environment)


async def _flood_all(ports: list[int], orders: int) -> int:
    share = len(ports)
    outcomes = await asyncio.gather(*(flood(one, orders // share, CONNECTIONS // share) for one in ports))
    return sum(one.accepted for one in outcomes)
