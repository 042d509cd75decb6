"""Changes while orders are in flight: upgrades, lost pods, more replicas, and a reinstalled release."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from support import pods
from support.chassis import eventually
from support.cluster import CHART, CONTEXT, Cluster
from support.load import mix, post

from oms_contracts.topics import SERVICES

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]
# Makes the commands of a page use this cluster.
HERE = f"""
kubectl() {{ command kubectl --context {CONTEXT} "$@"; }}
helm() {{ command helm --kube-context {CONTEXT} "$@"; }}
"""


def test_an_upgrade_of_every_service_under_load_loses_no_request_and_no_order(cluster: Cluster) -> None:
    before = cluster.secrets()
    mark = f"serviceDefaults.podAnnotations.changed={uuid4().hex}"
    outcome = post(cluster.url, mix(600), spread=60.0, meanwhile=lambda: cluster.upgrade(mark))
    assert not outcome.refusals
    assert len(outcome.answers) == 600
    cluster.verify(outcome.answers)
    assert cluster.secrets() == before


def test_pods_that_are_killed_with_orders_in_flight_lose_none(cluster: Cluster) -> None:
    def kill_each() -> None:
        for name in SERVICES:
            pods.kill(cluster, name)
            eventually(partial(cluster.is_ready, name), 60.0)

    outcome = post(cluster.url, mix(300), spread=30.0, meanwhile=kill_each)
    assert len(outcome.answers) == 300
    cluster.verify(outcome.answers)


def test_pods_that_run_out_of_memory_with_orders_in_flight_lose_none(cluster: Cluster) -> None:
    def starve_each() -> None:
        for name in SERVICES:
            before = cluster.restarts(name)
            pods.starve(cluster, name)
            eventually(lambda: cluster.restarts(name) > before, 60.0)  # noqa: B023 - called within its round
            assert cluster.last_end(name) == "OOMKilled"
            eventually(partial(cluster.is_ready, name), 60.0)

    outcome = post(cluster.url, mix(300), spread=30.0, meanwhile=starve_each)
    assert len(outcome.answers) == 300
    cluster.verify(outcome.answers)


def test_the_order_service_is_scaled_up_under_load_and_evictions_leave_one_replica(cluster: Cluster) -> None:
    revision = json.loads(cluster.helm("status", "oms", "--output=json"))["version"]
    scaling = "services.order.autoscaling"
    try:
        cluster.upgrade(
            f"{scaling}.type=hpa",
            *(f"{scaling}.minReplicas=2", f"{scaling}.maxReplicas=3"),
            *(f"{scaling}.targetCPU=50", "services.order.resources.requests.cpu=100m"),
        )
        eventually(lambda: len(cluster.pods("order")) >= 2 and cluster.is_ready("order"), 90.0)
        # Kubernetes counts a budget's pods a moment after they are ready, and refuses every eviction until then.
        eventually(lambda: cluster.get("pdb", "oms-order")["status"]["disruptionsAllowed"] == 1, 60.0)
        first, second = (pod["metadata"]["name"] for pod in cluster.pods("order")[:2])
        assert pods.evict(cluster, first)
        assert not pods.evict(cluster, second)
        outcome = post(cluster.url, mix(1500), spread=30.0)
        eventually(lambda: len(cluster.pods("order")) == 3, 90.0)
        cluster.verify(outcome.answers)
    finally:
        # The autoscaler owns the number of replicas, and is deleted first, so that the rollback may set it again.
        cluster.kubectl("delete", "hpa", "oms-order", "--ignore-not-found")
        cluster.kubectl("scale", "deployment/oms-order", "--replicas=1")
        cluster.helm("rollback", "oms", str(revision), "--wait", "--timeout=3m")


def test_a_topic_that_was_deleted_is_made_again_by_the_commands_of_its_page(cluster: Cluster) -> None:
    topics = ("exec", "oms-kafka-0", "--", "/opt/kafka/bin/kafka-topics.sh", "--bootstrap-server=localhost:9092")
    cluster.kubectl(*topics, "--delete", "--topic=sms.deadletter")
    page = (ROOT / "docs" / "runbooks" / "OmsTopicRefused.md").read_text().partition("## Make topics again")[2]
    (block,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    subprocess.run(["bash", "-ec", f"{HERE}{block}"], cwd=ROOT, check=True, capture_output=True, timeout=400)
    assert "sms.deadletter" in cluster.kubectl(*topics, "--list").split()


def test_a_reinstalled_release_finds_its_data(cluster: Cluster, place: Callable[[], str], tmp_path: Path) -> None:
    order_id, passwords = place(), cluster.secrets()
    values = tmp_path / "values.yaml"
    values.write_text(cluster.helm("get", "values", "oms", "--output=yaml"))
    cluster.helm("uninstall", "oms", "--wait", "--timeout=2m")
    kinds = "deployment,statefulset,service,job,secret,configmap,networkpolicy,ingress,serviceaccount,pvc"
    left = cluster.get(kinds, "--selector=app.kubernetes.io/instance=oms")["items"]
    assert Counter(one["kind"] for one in left) == {"PersistentVolumeClaim": 6, "Secret": len(passwords)}
    cluster.helm("install", "oms", str(CHART), "-f", str(values), "--wait", "--timeout=4m")
    cluster.await_ready()
    assert cluster.secrets() == passwords
    assert httpx2.get(f"{cluster.url}/order/{order_id}").json()["status"] == "CONFIRMED"
    place()
