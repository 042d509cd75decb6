"""Faults of a platform, each of which is repaired afterwards."""

import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from oms_platform.platform import Platform
from oms_platform.services import HttpServer
from oms_servers.server import Server
from support.chassis import eventually

FAULTY = Path(__file__).parents[1] / "crash" / "faulty.py"


def kill_and_restart(platform: Platform, name: str) -> None:
    """Kill a service with SIGKILL and start it again, without waiting until it is ready."""
    service = platform.services[name]
    service.kill()
    service.start()


@contextmanager
def out_of_order(server: Server, seconds: float) -> Iterator[None]:
    """Stop a server during the block, which must last for this many seconds."""
    began = time.monotonic()
    server.stop()
    yield
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    server.start()
    server.await_ready()


@contextmanager
def patient(service: HttpServer) -> Iterator[None]:
    """During the block, make this service's group wait for it as long as a start may take on a busy machine."""
    before = service._environment
    service._environment = {**before, "OMS_KAFKA_SESSION_SECONDS": "120"}
    try:
        service.restart()
        yield
    finally:
        service._environment = before
        service.restart()


@contextmanager
def doomed(platform: Platform, names: Sequence[str], point: str) -> Iterator[Callable[[], None]]:
    """During the block, replace these services by ones that die at a certain point (crash/faulty.py).

    Yields a function that waits until each of them has died, and then starts the original service again. It raises
    AssertionError if one of them does not die.
    """
    services = [platform.services[name] for name in names]
    commands = {service.name: service.command() for service in services}
    try:
        with ThreadPoolExecutor(len(services)) as pool:
            list(pool.map(lambda service: service.stop(), services))
        for service in services:
            service._command = [sys.executable, str(FAULTY), service.name, point]
            service.start()
        for service in services:
            service.await_ready()
        yield lambda: _replace_the_dead(platform, commands)
    finally:
        for service in services:
            if service._command != commands[service.name]:  # it did not die, so the test has failed
                service._command = commands[service.name]
                service.restart()


def _replace_the_dead(platform: Platform, commands: Mapping[str, list[str]]) -> None:
    alive = dict(commands)
    while alive:
        name = eventually(lambda: next((name for name in alive if not platform.services[name].is_alive()), None), 30.0)
        assert name is not None
        service = platform.services[name]
        assert service.process is not None
        assert service.process.returncode == -signal.SIGKILL, service.log_since_start()
        service._command = alive.pop(name)
        kill_and_restart(platform, name)
