"""Makes one run: starts a new system, puts a load on it, and returns the results."""

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
import psutil
import psycopg
from invariants import Expected, Sources, check_when_quiet

from benchmarks import memory
from benchmarks.load import flood
from oms_contracts.topics import SERVICES
from oms_platform.platform import Platform

STOCK = 1_000_000
WARM_UP = 50  # orders
LIMIT = 900.0  # seconds after which a run counts as failed if some orders have not ended
_ROOT = Path(__file__).parent.parent
_LEFT = {
    "oms": "SELECT count(*) FILTER (WHERE status NOT IN ('CONFIRMED', 'CANCELLED')), count(*) FROM orders",
    "faststream": "SELECT count(*) FILTER (WHERE status <> 'CONFIRMED'), count(*) FROM faststream_order",
    "naive": "SELECT count(*) FILTER (WHERE status <> 'CONFIRMED'), count(*) FROM naiveorder",
}


@dataclass(frozen=True)
class Result:
    """The results of one run. Rates are orders/s until the last one was accepted, terminal, and had its email and SMS.

    Memory is in MiB, `idle` before the first order. CPU is in milliseconds per order, until its customer was notified.
    """

    build: str
    orders: int
    per_second: float
    accepted_per_second: float
    notified_per_second: float
    violations: list[str] = field(default_factory=list)
    memory: Mapping[str, float] = field(default_factory=dict)
    cpu: Mapping[str, float] = field(default_factory=dict)
    idle: Mapping[str, float] = field(default_factory=dict)


@contextmanager
def system(build: str) -> Iterator[Platform]:
    """Run a new system of all services ("oms", "faststream" or "naive"), with stock for every order."""
    others = {name: [sys.executable, "-m", f"benchmarks.{build}", name] for name in SERVICES}
    path = {name: {"PYTHONPATH": str(_ROOT), "OMS_LOG_LEVEL": "WARNING"} for name in SERVICES}
    with TemporaryDirectory(prefix="oms-bench-") as folder:
        Path(folder).chmod(0o755)
        with Platform(Path(folder) / "oms", commands={} if build == "oms" else others, environment=path) as platform:
            if build == "oms":
                _stock(platform)
            yield platform


def _stock(platform: Platform) -> None:
    url = f"{platform.inventory_url}/items/Item1/restock"
    httpx2.post(url, json={"quantity": STOCK}).raise_for_status()


def throughput(build: str, orders: int, connections: int) -> Result:
    """Measure orders per second from the first POST to the last terminal order, and check the invariants."""
    with system(build) as platform:
        idle = _memories(platform)
        warmed = warm_up(platform)
        _await_terminal(platform, build, warmed)
        before, started = cpu_seconds(platform), time.perf_counter()
        outcome = asyncio.run(flood(port(platform), orders, connections))
        _await_terminal(platform, build, warmed + outcome.accepted)
        seconds = time.perf_counter() - started
        await_notified(platform, warmed + outcome.accepted)
        notified = outcome.accepted / (time.perf_counter() - started)
        cpu = {name: 1000 * (used - before[name]) / orders for name, used in cpu_seconds(platform).items()}
        loaded = _memories(platform)
        violations = _violations(platform) if build == "oms" else []
    rates = (outcome.accepted / seconds, orders / outcome.seconds, notified)
    return Result(build, orders, *rates, violations, loaded, cpu, idle)


def warm_up(platform: Platform) -> int:
    """Place some orders, wait until their customers are notified, and return their number. A new system does not know
    any items yet, so the first one is repeated until it is accepted."""
    deadline = time.monotonic() + LIMIT
    while not (first := asyncio.run(flood(port(platform), 1, 1)).accepted):
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {LIMIT} s no order was taken")
        time.sleep(0.05)
    accepted = first + asyncio.run(flood(port(platform), WARM_UP, 4)).accepted
    await_notified(platform, accepted)
    return accepted


def port(platform: Platform) -> int:
    """Return the port to which orders are posted."""
    return platform.at.http["order"]


def _await_terminal(platform: Platform, build: str, orders: int) -> None:
    deadline = time.monotonic() + LIMIT
    with psycopg.connect(platform.databases["order"].url, autocommit=True) as connection:
        while connection.execute(_LEFT[build]).fetchone() != (0, orders):
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {LIMIT} s not all of {orders} orders were terminal")
            time.sleep(0.05)


def await_notified(platform: Platform, orders: int) -> None:
    """Return once every order's customer has an email and an SMS."""
    deadline = time.monotonic() + LIMIT
    with httpx2.Client(base_url=platform.mailcatcher_url) as client:
        while min(client.get("/messages/count").json()[kind] for kind in ("email", "sms")) < orders:
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {LIMIT} s not all customers of {orders} orders were notified")
            time.sleep(0.25)


def _violations(platform: Platform) -> list[str]:
    databases = {name: server.url for name, server in platform.databases.items()}
    sources = Sources(databases, platform.mailcatcher_url, platform.kafka.bootstrap)
    # Nothing fails here, so no email may be sent twice.
    found = check_when_quiet(sources, within=300.0, expected=Expected(copies=0))
    return [str(violation) for violation in found]


def _pids(platform: Platform) -> dict[str, int]:
    return {server.name: server.pid for server in platform.servers if server.pid is not None}


def _memories(platform: Platform) -> dict[str, float]:
    return {name: memory.of(pid) for name, pid in _pids(platform).items()}


def cpu_seconds(platform: Platform) -> dict[str, float]:
    """Return the CPU time of each program so far, in seconds."""
    return {name: _seconds(psutil.Process(pid)) for name, pid in _pids(platform).items()}


def _seconds(process: psutil.Process) -> float:
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(one.user + one.system + one.children_user + one.children_system for one in times)
