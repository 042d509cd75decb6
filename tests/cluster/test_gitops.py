"""The chart as Argo CD and `helm template | kubectl apply` use it: rendered without a cluster, applied repeatedly."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cluster import CHART, Cluster

pytestmark = pytest.mark.cluster

MANAGER = "gitops"
APPLIED = "deployment,statefulset,service,configmap,networkpolicy,serviceaccount,ingress,job,role,rolebinding"
APPLY = ("apply", "--server-side", "--force-conflicts", f"--field-manager={MANAGER}", "--filename=-")
ELSEWHERE = "oms-rendered"


def render(cluster: Cluster, namespace: str, values: Path, *options: str) -> str:
    """Return the manifests that a tool which only renders gets from the chart."""
    return cluster.helm(
        "template", "oms", str(CHART), f"--namespace={namespace}", "-f", str(values), "--skip-tests", *options
    )


@pytest.fixture
def values(cluster: Cluster, tmp_path: Path) -> Path:
    """Return a file with the values of the installed release."""
    (path := tmp_path / "values.yaml").write_text(cluster.helm("get", "values", "oms", "--output=yaml"))
    return path


@pytest.fixture
def shared(cluster: Cluster) -> Iterator[None]:
    """Remove other field managers from the objects afterwards: Helm's next upgrade would find conflicts."""
    yield
    made = "--selector=app.kubernetes.io/instance=oms,app.kubernetes.io/component=secrets"
    cluster.kubectl("delete", "job,role,rolebinding,serviceaccount,networkpolicy", made)
    selector = "--selector=app.kubernetes.io/instance=oms"
    found = cluster.get(APPLIED, selector, "--show-managed-fields")["items"]
    changed = []
    for one in found:
        fields = one["metadata"]["managedFields"]
        one["metadata"]["managedFields"] = [entry for entry in fields if entry["manager"] != MANAGER]
        if len(one["metadata"]["managedFields"]) < len(fields):
            changed.append(one)
    cluster.kubectl("replace", "--filename=-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": changed}))


@pytest.fixture
def elsewhere(cluster: Cluster) -> Iterator[str]:
    """Yield an empty namespace."""
    cluster.kubectl("create", "namespace", ELSEWHERE)
    yield ELSEWHERE
    cluster.kubectl("delete", "namespace", ELSEWHERE, "--wait=false")


def test_rendering_and_applying_again_changes_no_password_and_restarts_nothing(
    cluster: Cluster, values: Path, place: Callable[[], str], shared: None
) -> None:
    passwords, pods = cluster.secrets(), {pod["metadata"]["uid"] for pod in running(cluster)}
    for _ in range(2):
        cluster.kubectl(*APPLY, given=render(cluster, "oms", values))
        jobs = "--selector=app.kubernetes.io/component in (secrets,topics)"
        cluster.kubectl("wait", "job", jobs, "--for=condition=complete", "--timeout=180s")
        assert cluster.secrets() == passwords
    assert {pod["metadata"]["uid"] for pod in running(cluster)} == pods
    place()


def running(cluster: Cluster) -> list[dict[str, Any]]:
    """Return the pods that are not those of jobs."""
    found = cluster.get("pods", "--field-selector=status.phase=Running")["items"]
    return [pod for pod in found if not pod["metadata"]["name"].startswith(("oms-secrets", "oms-topics"))]


def test_a_job_makes_the_passwords_of_an_empty_namespace_once(cluster: Cluster, values: Path, elsewhere: str) -> None:
    made = []
    for _ in range(2):
        given = render(cluster, elsewhere, values, "--show-only=templates/secrets-job.yaml")
        cluster.kubectl("--namespace", elsewhere, *APPLY, given=given)
        cluster.kubectl("--namespace", elsewhere, "wait", "job", "--all", "--for=condition=complete", "--timeout=180s")
        found = json.loads(cluster.kubectl("--namespace", elsewhere, "get", "secrets", "--output=json"))["items"]
        made.append({one["metadata"]["name"]: one["data"] for one in found})
    assert made[0] == made[1]
    assert made[0].keys() == cluster.secrets().keys()
    assert made[0] != cluster.secrets()
