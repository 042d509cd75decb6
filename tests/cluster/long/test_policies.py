"""Enforced NetworkPolicies let connections pass that the system needs, and no others."""

from collections.abc import Callable

import pytest
from support.chassis import eventually
from support.cluster import Cluster
from support.prometheus import Prometheus
from support.strangers import Stranger, Target, reached

from oms_contracts.topics import SERVICES

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("enforced")]

HTTP, INTERNAL, POSTGRES, KAFKA = 9090, 9100, 5432, 9092
CATCHER = {("mailcatcher", 1025), ("mailcatcher", 8025)}
SEEN = 30.0  # seconds until policies take effect for a new pod
TRY = 'for one in "$@"; do timeout 5 bash -c "</dev/tcp/${one/://}" 2>/dev/null && echo "$one"; done; true'


@pytest.fixture
def ports(cluster: Cluster) -> dict[Target, Target]:
    """Return every port of the release's pods, as (component, port), by its address."""
    found = {}
    pods = cluster.get("pods", "--selector=app.kubernetes.io/instance=oms", "--field-selector=status.phase=Running")
    for pod in pods["items"]:
        component = pod["metadata"]["labels"]["app.kubernetes.io/component"]
        for container in pod["spec"]["containers"]:
            for port in container.get("ports", ()):
                found[(pod["status"]["podIP"], port["containerPort"])] = (component, port["containerPort"])
    return found


def test_orders_are_confirmed_and_the_charts_own_test_passes(cluster: Cluster, place: Callable[[], str]) -> None:
    place()
    assert "is CONFIRMED" in cluster.helm("test", "oms", "--logs", "--timeout=180s")


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_a_stranger_reaches_the_public_api_and_nothing_else(
    ports: dict[Target, Target], here_and_elsewhere: dict[str, Stranger], where: str
) -> None:
    assert {("order", INTERNAL), ("kafka", KAFKA), *CATCHER} <= set(ports.values())
    assert {(f"{service}-postgres", POSTGRES) for service in SERVICES} <= set(ports.values())
    stranger = here_and_elsewhere[where]
    open_ones = {ports[one] for one in stranger.reached(list(ports))}
    assert open_ones == {("order", HTTP)}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reaches_only_kafka_and_its_own_servers(
    cluster: Cluster, ports: dict[Target, Target], here_and_elsewhere: dict[str, Stranger], service: str
) -> None:
    others = {one: what for one, what in ports.items() if what[0] != service}  # a pod can reach itself
    stranger = here_and_elsewhere["elsewhere"]
    targets = [*others, (stranger.address, stranger.port)]
    wanted = {("kafka", KAFKA), (f"{service}-postgres", POSTGRES)} | (CATCHER if service in {"sms", "email"} else set())

    def found() -> set[Target]:
        return {others.get(one, one) for one in reached(cluster, f"deployment/oms-{service}", targets)}

    eventually(lambda: wanted <= found(), SEEN)
    assert found() == wanted


@pytest.mark.parametrize("server", ["kafka", *(f"{service}-postgres" for service in SERVICES)])
def test_a_server_cannot_connect_to_anything(
    cluster: Cluster, ports: dict[Target, Target], here_and_elsewhere: dict[str, Stranger], server: str
) -> None:
    stranger = here_and_elsewhere["elsewhere"]
    others = [f"{host}:{port}" for (host, port), (component, _) in ports.items() if component != server]
    targets = (*others, f"{stranger.address}:{stranger.port}")
    said = cluster.kubectl("exec", f"oms-{server}-0", "--", "bash", "-c", TRY, "try", *targets)
    assert said == ""


def test_only_prometheus_can_read_metrics(prometheus: Prometheus, here_and_elsewhere: dict[str, Stranger]) -> None:
    eventually(lambda: prometheus.services_up() == set(SERVICES), 120.0)
    addresses = [one["discoveredLabels"]["__address__"].rpartition(":") for one in prometheus.targets()]
    targets = [(host, int(port)) for host, _, port in addresses]
    assert all(port == INTERNAL for _, port in targets)
    assert not any(stranger.reached(targets) for stranger in here_and_elsewhere.values())
