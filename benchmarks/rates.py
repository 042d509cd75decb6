"""Measures OMS at a fixed rate, next to a route that does nothing: latency, CPU per order; and a lone order."""

import asyncio
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx2

from benchmarks.load import BODY, Outcome, flood, steady
from benchmarks.runs import WARM_UP, await_notified, cpu_seconds, port, system, warm_up
from oms_platform.services import HttpServer
from oms_servers.ports import free_port

LONE = 30  # orders, one at a time
SETTLED = 5.0  # seconds after which no work is left of earlier orders
TERMINAL_SECONDS = 30.0
LOOK = 0.01


@dataclass(frozen=True)
class AtRate:
    """The results at a rate: the answers of OMS, those of the route that does nothing at the same time, and the CPU
    time of each program in milliseconds per order, including what it uses when idle."""

    orders: Outcome
    noop: Outcome
    cpu: Mapping[str, float]

    @property
    def ratio(self) -> float:
        """The 99th percentile of POST /order, divided by that of the route that does nothing."""
        return self.orders.percentile(99) / self.noop.percentile(99)


def at_rate(rate: float, seconds: float) -> AtRate:
    """Send orders at a fixed rate to a system of its own, and as many requests to a route that does nothing."""
    with system("oms") as platform, _noop(platform.folder) as noop:
        warmed = warm_up(platform)
        asyncio.run(flood(noop, WARM_UP, 4))
        os.sync()  # otherwise the disk would be busy half a minute later with everything that the start has written
        before = cpu_seconds(platform)
        orders, nothing = asyncio.run(_side_by_side(port(platform), noop, rate, seconds))
        await_notified(platform, warmed + orders.accepted)
        used = cpu_seconds(platform)
    return AtRate(
        orders, nothing, {name: 1000 * (used[name] - before[name]) / max(1, orders.accepted) for name in used}
    )


def at_rest(seconds: float) -> Mapping[str, float]:
    """Return the share of a core that each program needs when idle."""
    with system("oms") as platform:
        await_notified(platform, warm_up(platform))
        time.sleep(SETTLED)
        before, began = cpu_seconds(platform), time.monotonic()
        time.sleep(seconds)
        used, took = cpu_seconds(platform), time.monotonic() - began
    return {name: (used[name] - before[name]) / took for name in used}


async def _side_by_side(ours: int, noop: int, rate: float, seconds: float) -> tuple[Outcome, Outcome]:
    return await asyncio.gather(steady(ours, rate, seconds), steady(noop, rate, seconds))


@contextmanager
def _noop(folder: Path) -> Iterator[int]:
    listens = free_port()
    command = [sys.executable, "-m", "benchmarks.noop", str(listens)]
    environment = {"PYTHONPATH": str(Path(__file__).parent.parent)}
    server = HttpServer("noop", folder / "noop.log", (listens,), (listens, "/readyz"), command, environment)
    with server:
        yield listens


def lone() -> list[float]:
    """Return the seconds from the acceptance of each order until it was CONFIRMED, with no other order under way."""
    with system("oms") as platform, httpx2.Client(base_url=platform.url) as client:
        warm_up(platform)
        os.sync()
        return [_lone(client) for _ in range(LONE)]


def _lone(client: httpx2.Client) -> float:
    answer = client.post("/order", content=BODY, headers={"Content-Type": "application/json"})
    path, deadline = answer.raise_for_status().headers["Location"], time.monotonic() + TERMINAL_SECONDS
    while time.monotonic() < deadline:
        timeline = client.get(path).json()["timeline"]
        if timeline[-1]["status"] == "CONFIRMED":
            first, last = (datetime.fromisoformat(step["at"]) for step in (timeline[0], timeline[-1]))
            return (last - first).total_seconds()
        time.sleep(LOOK)
    raise TimeoutError(f"{path} was not confirmed within {TERMINAL_SECONDS} s")
