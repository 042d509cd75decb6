"""A loop that hangs is detected, and fails the liveness probe."""

import threading
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from support.chassis import eventually

from oms_chassis.db import Database
from oms_chassis.heartbeat import beat
from oms_chassis.http.health import Health, internal_app
from oms_chassis.runtime.threads import ThreadSupervisor
from oms_chassis.runtime.watchdog import Watchdog


class Loop:
    """A loop that beats until it is to hang."""

    def __init__(self) -> None:
        self.hanging, self.end = threading.Event(), threading.Event()

    def run(self) -> None:
        while not self.end.wait(0.01):
            beat()
            if self.hanging.is_set():
                self.end.wait(60)

    def idle(self) -> None:
        self.end.wait(60)


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.end.set()


class Panic(BaseException):
    """An error such as a library's Rust code raises, which is not an Exception."""


@pytest.mark.parametrize("kind", [LookupError, Panic, SystemExit])
def test_any_error_that_ends_a_thread_ends_the_process(kind: type[BaseException]) -> None:
    ended = threading.Event()
    supervisor = ThreadSupervisor(ended.set)

    def fail() -> None:
        raise kind

    supervisor.start("loop", fail)
    assert ended.wait(10)
    assert supervisor.failed


def test_a_hanging_loop_fails_the_liveness_probe_and_one_that_ended_does_not(loop: Loop) -> None:
    supervisor, registry = ThreadSupervisor(lambda: None), CollectorRegistry()
    watchdog = Watchdog(supervisor.beats, 0.5, registry)
    health = Health(Database("postgresql://nobody@127.0.0.1:1/none"), {}, watchdog.stalled)
    client = TestClient(internal_app("order", health, registry, watchdog.measure))
    supervisor.start("loop", loop.run)
    supervisor.start("without a loop", loop.idle)
    eventually(lambda: "loop" in supervisor.beats())
    assert client.get("/livez").json() == {"status": "ok", "threads": []}
    loop.hanging.set()
    eventually(lambda: client.get("/livez").status_code == 503)
    assert client.get("/livez").json() == {"status": "stalled", "threads": ["loop"]}
    assert 'oms_thread_last_progress_timestamp_seconds{thread="loop"}' in client.get("/metrics").text
    loop.end.set()
    assert supervisor.join("loop", 10)
    assert client.get("/livez").status_code == 200
