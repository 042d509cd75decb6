"""The release with components that act on its policies, scaling and monitoring, as far as the cluster has them."""

import json
import os
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
from support.chassis import eventually
from support.cluster import RELEASE, Cluster
from support.prometheus import Prometheus
from support.strangers import ELSEWHERE, Stranger, strangers

LAG = 20  # number of records that one replica of payment may lag behind
KEDA = "app=keda-operator"  # the label in its chart and its own manifests
DENY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "deny"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": []},
}


def missing(what: str) -> NoReturn:
    """Skip the test, or fail if everything is required to be there."""
    assert not os.environ.get("OMS_OPERATORS_REQUIRED"), what
    pytest.skip(f"{what}: scripts/test-cluster-long.sh installs it where it can")


def found_in(cluster: Cluster, *arguments: str) -> str | None:
    """Return the namespace of the first of these objects that the cluster has."""
    try:
        items = json.loads(cluster.kubectl("get", *arguments, "--all-namespaces", "--output=json"))["items"]
    except AssertionError:  # the cluster does not know this kind
        return None
    return items[0]["metadata"]["namespace"] if items else None


@pytest.fixture(scope="session")
def keda(installed: Cluster) -> str | None:
    """Return the namespace of KEDA's operator."""
    return found_in(installed, "deployment", f"--selector={KEDA}")


@pytest.fixture(scope="session")
def watching(installed: Cluster) -> str | None:
    """Return the namespace of a Prometheus that its operator runs."""
    return found_in(installed, "prometheuses.monitoring.coreos.com")


def namespaces(*names: str | None) -> list[dict[str, Any]]:
    """Return these namespaces as NetworkPolicy peers."""
    return [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}} for name in names if name]


@pytest.fixture(scope="session")
def operated(installed: Cluster, keda: str | None, watching: str | None) -> Iterator[Cluster]:
    """Yield the release with everything on which this cluster's operators act, and restore it afterwards."""
    revision = json.loads(installed.helm("status", RELEASE, "--output=json"))["version"]
    values: dict[str, Any] = {"networkPolicy.metricsFrom": namespaces(watching or "monitoring")}
    if watching:
        values |= {"serviceMonitor.enabled": True, "prometheusRule.enabled": True}
    if keda:
        scaling = {"type": "keda", "minReplicas": 1, "maxReplicas": 3, "lagThreshold": LAG}
        values |= {"networkPolicy.kafkaFrom": namespaces(keda), "services.payment.autoscaling": scaling}
    installed.upgrade_json(values)
    yield installed
    installed.helm("rollback", RELEASE, str(revision), "--wait", "--timeout=5m")
    installed.kubectl("scale", "deployment/oms-payment", "--replicas=1")  # whatever number the autoscaler left


@pytest.fixture
def cluster(operated: Cluster) -> Iterator[Cluster]:
    """Yield the release with everything ready, before and after the test."""
    operated.await_ready()
    yield operated
    operated.await_ready()


@pytest.fixture(scope="session")
def prometheus(operated: Cluster, watching: str | None) -> Iterator[Prometheus]:
    """Yield the Prometheus that monitors the release."""
    if watching is None:
        missing("no Prometheus of the Prometheus Operator")
    with operated.forwarded("service/prometheus-operated", 9090, namespace=watching) as address:
        client = Prometheus(f"http://{address}")
        eventually(client.targets, 180.0)
        yield client
        client.close()


@pytest.fixture(scope="session")
def here_and_elsewhere(installed: Cluster) -> Iterator[dict[str, Stranger]]:
    """Yield pods outside the release: one in its namespace, one in another."""
    with strangers(installed) as found:
        yield found


@pytest.fixture(scope="session")
def enforced(installed: Cluster, here_and_elsewhere: dict[str, Stranger]) -> None:
    """Skip the tests if the cluster does not enforce NetworkPolicies."""
    here, there = here_and_elsewhere["here"], here_and_elsewhere["elsewhere"]
    eventually(lambda: here.reaches((there.address, there.port)), 60.0)
    installed.kubectl("create", "--namespace", ELSEWHERE, "--filename=-", given=json.dumps(DENY))
    try:
        eventually(lambda: not here.reaches((there.address, there.port)), 30.0)
    except AssertionError:
        missing("nothing that enforces NetworkPolicies")
    finally:
        installed.kubectl("delete", "--namespace", ELSEWHERE, "networkpolicy", "deny")
