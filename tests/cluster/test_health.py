"""Probes, pod security and the chart's own test."""

import contextlib

import httpx2
import pytest
from support.chassis import eventually
from support.cluster import Cluster

from oms_contracts.topics import SERVICES

pytestmark = pytest.mark.cluster

FALLS, RISES = 45.0, 90.0  # seconds for readiness to follow


def test_the_charts_own_test_passes(cluster: Cluster) -> None:
    assert "is CONFIRMED" in cluster.helm("test", "oms", "--logs", "--timeout=90s")


def test_the_namespace_accepts_only_restricted_pods_and_all_run_in_it(cluster: Cluster) -> None:
    labels = cluster.get("namespace", "oms")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert all(cluster.is_ready(component) for name in SERVICES for component in (name, f"{name}-postgres"))
    assert cluster.is_ready("kafka")


def test_no_pod_can_write_to_its_root_or_is_root(cluster: Cluster) -> None:
    code = "import os; print(os.getuid()); open('/app/written', 'w')"
    for name in SERVICES:
        command = f'python -c "{code}" 2>&1 || true'
        said = cluster.kubectl("exec", f"deployment/oms-{name}", "--", "sh", "-c", command)
        assert said.startswith("10001\n"), name
        assert "Read-only file system" in said, name


def test_without_its_database_a_service_is_not_ready_but_alive(cluster: Cluster) -> None:
    pods = {name: cluster.pods(name)[0]["metadata"]["name"] for name in SERVICES}
    restarts = {name: cluster.restarts(name) for name in SERVICES}
    try:
        for name in SERVICES:
            cluster.kubectl("scale", f"statefulset/oms-{name}-postgres", "--replicas=0")
        eventually(lambda: not any(cluster.is_ready(name) for name in SERVICES), FALLS)
        with contextlib.ExitStack() as stack:
            for name in SERVICES:
                address = stack.enter_context(cluster.forwarded(f"pod/{pods[name]}", 9100))
                assert httpx2.get(f"http://{address}/livez").status_code == 200, name
                answer = httpx2.get(f"http://{address}/readyz", timeout=15.0)
                assert answer.status_code == 503, name
                assert answer.json()["database"] is False, name
    finally:
        for name in SERVICES:
            cluster.kubectl("scale", f"statefulset/oms-{name}-postgres", "--replicas=1")
    eventually(lambda: all(cluster.is_ready(name) for name in SERVICES), RISES)
    assert {name: cluster.pods(name)[0]["metadata"]["name"] for name in SERVICES} == pods
    assert {name: cluster.restarts(name) for name in SERVICES} == restarts


def test_without_kafka_orders_are_accepted_and_confirmed_once_it_is_back(cluster: Cluster) -> None:
    from support.orders import body, ended, place

    try:
        cluster.kubectl("scale", "statefulset/oms-kafka", "--replicas=0")
        eventually(lambda: not cluster.pods("kafka"), FALLS)
        with httpx2.Client(base_url=cluster.url, timeout=20.0) as client:
            order_id = place(client, body())
            assert client.get(f"/order/{order_id}").json()["status"] == "PENDING"
    finally:
        cluster.kubectl("scale", "statefulset/oms-kafka", "--replicas=1")
    cluster.await_ready()
    with httpx2.Client(base_url=cluster.url, timeout=20.0) as client:
        assert ended(client, order_id, within=90.0)["status"] == "CONFIRMED"


def test_a_pod_stops_within_its_grace_period(cluster: Cluster) -> None:
    pod = cluster.pods("sms")[0]
    grace = pod["spec"]["terminationGracePeriodSeconds"]
    cluster.kubectl("delete", "pod", pod["metadata"]["name"], f"--timeout={grace - 5}s")


def test_the_idle_release_uses_less_than_one_and_a_half_gibibytes(cluster: Cluster) -> None:
    eventually(lambda: len(cluster.memory()) >= 12, 120.0)  # a pod is measured only some time after its start
    assert sum(cluster.memory().values()) < 1536, cluster.memory()
