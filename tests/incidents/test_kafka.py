"""Kafka vanishes, refuses, stops, is slow, or delivers poison: orders are accepted all the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from support.chassis import eventually
from support.proxied import Network, metrics

from incidents import poison
from incidents.bounds import NOTICED
from incidents.faults import at_once, forgotten, narrow, refusing, silent, slow, stopped
from incidents.incident import Incident
from oms_platform.platform import Platform
from oms_platform.services import HttpServer

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]
LASTS = 15.0


def test_kafka_refuses_connections(incident: Incident, network: Network) -> None:
    incident.run("Kafka refuses connections", refusing(network.kafka), 10.0)


def test_poison_of_every_kind_stops_nothing(incident: Incident, platform: Platform) -> None:
    burst = at_once(lambda: poison.burst(platform.kafka.bootstrap))
    incident.run("poison on each topic", burst, 5.0, letters=poison.letters())


@pytest.mark.incidents
def test_kafka_is_silent(incident: Incident, network: Network, platform: Platform) -> None:
    incident.run("Kafka falls silent", reported(network, platform), 40.0)


@contextmanager
def reported(network: Network, platform: Platform) -> Iterator[None]:
    """Silence Kafka: every service must report that it consumes nothing, and not show old numbers as new ones."""
    with silent(network.kafka):
        for service in platform.services.values():
            eventually(partial(reports, service, "oms_consumer_running 0.0"), within=NOTICED)
        assert not any(reports(service, "oms_consumer_lag{") for service in platform.services.values())
        yield


def reports(service: HttpServer, metric: str) -> bool:
    """Whether a service's metrics include this one."""
    return metric in metrics(service)


@pytest.mark.incidents
def test_connections_to_kafka_that_lead_nowhere_are_replaced(incident: Incident, network: Network) -> None:
    incident.run("connections to Kafka lead nowhere", forgotten(network.kafka), LASTS)


@pytest.mark.incidents
def test_kafka_is_stopped(incident: Incident, platform: Platform) -> None:
    incident.run("Kafka is stopped", stopped(platform.kafka), 20.0)


@pytest.mark.incidents
def test_kafka_is_slow(incident: Incident, network: Network) -> None:
    incident.run("each packet to or from Kafka takes 0.3 s", slow(network.kafka, 0.3), LASTS)


@pytest.mark.incidents
def test_the_line_to_kafka_is_thin(incident: Incident, network: Network) -> None:
    incident.run("Kafka at 20 kB/s", narrow(network.kafka, 20_000), LASTS)
