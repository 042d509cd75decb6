"""Processes end in the middle of an incident, or vanish."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psutil
import pytest
from support.chassis import eventually
from support.network import Proxy
from support.proxied import Network, ProxiedPlatform, metrics

from incidents.bounds import COPIES, STOPPED, TAKEN_OVER
from incidents.faults import of_another_release, silent
from incidents.incident import Incident
from oms_platform.platform import Platform
from oms_platform.services import HttpServer

pytestmark = [pytest.mark.incidents, pytest.mark.timeout(600)]


def test_services_end_in_time_though_their_databases_are_silent(
    incident: Incident, network: Network, platform: Platform
) -> None:
    block = ended_within(platform, *network.databases.values())
    incident.run("SIGTERM to every service while Postgres is silent", block, 5.0, copies=COPIES)


def test_services_end_in_time_though_kafka_is_silent(incident: Incident, network: Network, platform: Platform) -> None:
    block = ended_within(platform, network.kafka)
    incident.run("SIGTERM to every service while Kafka is silent", block, 5.0, copies=COPIES)


def test_services_end_in_time_though_their_receivers_are_silent(
    incident: Incident, network: Network, platform: Platform
) -> None:
    block = ended_within(platform, network.smtp, network.sms)
    incident.run("SIGTERM to every service while mail server and SMS provider are silent", block, 5.0, copies=COPIES)


def test_an_older_release_starts_on_a_newer_schema(incident: Incident, platform: Platform) -> None:
    """That happens after a rollback, or when an old pod is moved in the middle of a rollout."""
    block = of_another_release(platform.services["order"], platform.databases["order"])
    incident.run("order's old release restarts on a newer schema", block, 5.0)


def test_a_relay_that_vanished_is_replaced(incident: Incident, proxied: ProxiedPlatform) -> None:
    first = proxied.platform.services["payment"]
    with proxied.replica("payment") as second:
        leader, other = (first, second) if leads(first) else (second, first)
        try:
            incident.run("the process of payment's leading relay stops where it is", vanished(leader, other), 0.0)
        finally:
            leader.kill()


@contextmanager
def ended_within(platform: Platform, *proxies: Proxy) -> Iterator[None]:
    """Silence servers and stop all services, which are started again when the servers answer."""
    services = list(platform.services.values())
    with silent(*proxies):
        time.sleep(3.0)  # until everything that can wait for the servers does
        with ThreadPoolExecutor(len(services)) as pool:
            took = dict(zip(platform.services, pool.map(seconds_to_end, services), strict=True))
        yield
    for service in services:
        service.start()
    for service in services:
        service.await_ready()
    assert max(took.values()) <= STOPPED, took


def seconds_to_end(service: HttpServer) -> float:
    """Return how long a service takes to end."""
    assert service.process is not None
    began = time.monotonic()
    service.process.send_signal(signal.SIGTERM)
    try:
        service.process.wait(2 * STOPPED)
        return time.monotonic() - began
    finally:
        service.stop()


@contextmanager
def vanished(leader: HttpServer, other: HttpServer) -> Iterator[None]:
    """Suspend a process for good, and wait until another relay leads. Its connections stay open, because the kernel
    answers for it, and so it keeps its lock, until the server ends the silent session."""
    psutil.Process(leader.pid).suspend()
    eventually(lambda: leads(other), within=TAKEN_OVER)
    yield


def leads(service: HttpServer) -> bool:
    """Whether a service's relay has the lock."""
    return "oms_relay_leader 1.0" in metrics(service)
