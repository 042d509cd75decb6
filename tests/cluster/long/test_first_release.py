"""An installation of the first release is upgraded to this one with orders in flight."""

import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx2
import pytest
from invariants import Answer
from support import history
from support.chassis import eventually
from support.cluster import CHART, CONTEXT, READY, RELEASE, Cluster
from support.load import mix, post
from support.orders import body

from oms_contracts.topics import SERVICES

from .conftest import missing

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[3]
FIRST = "112641e"  # the commit whose chart tests/chart/releases keeps
TAG = "first-release"  # tag of its images
NAMESPACE = "first-release"
ORDERS, SPREAD = 240, 120.0  # the latter in seconds: as long as an upgrade takes


def run(*command: str, within: float = 900.0, where: Path = ROOT) -> str:
    """Run a program and return its output. Raises AssertionError if it fails."""
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=within, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the first release's files."""
    if reason := history.obstacle(FIRST):
        missing(reason)
    folder = tmp_path_factory.mktemp("first")
    history.unpack(FIRST, folder)
    return folder


@pytest.fixture(scope="module")
def images(source: Path) -> None:
    """Build its images, and load them into the cluster."""
    run("env", f"OMS_TAG={TAG}", "OMS_BUILD_NETWORK=host", "scripts/images.sh", where=source)
    names = [f"oms/{service}:{TAG}" for service in SERVICES]
    run("kind", "load", "docker-image", "--name", CONTEXT.removeprefix("kind-"), *names)


@pytest.fixture
def release(source: Path, images: None) -> Iterator[Cluster]:
    """Yield the first release as it was installed then, next to the current one."""
    cluster, chart = Cluster(NAMESPACE, f"{NAMESPACE}.example"), source / "charts" / "oms"
    values = ["--values", str(chart / "ci" / "kind-values.yaml"), f"--set=image.tag={TAG}"]
    host = f"--set=ingress.host={cluster.host}"
    cluster.kubectl("create", "namespace", NAMESPACE)
    try:
        cluster.helm("install", RELEASE, str(chart), *values, host, "--wait", "--timeout=3m40s")
        cluster.await_ready()
        eventually(lambda: takes_orders(cluster), READY)
        yield cluster
    finally:
        cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def takes_orders(cluster: Cluster) -> bool:
    """Whether the order service has its first items: until then, the first release refused orders for good."""
    headers = {"Host": str(cluster.host)}
    return httpx2.post(f"{cluster.url}/order", json=body(), headers=headers, timeout=20.0).status_code == 202


def place_while(cluster: Cluster, *helm: str) -> list[Answer]:
    """Place orders while helm does something. All must be accepted, if necessary when they are repeated."""
    changing = partial(cluster.helm, *helm)
    outcome = post(cluster.url, mix(ORDERS), spread=SPREAD, meanwhile=changing, host=cluster.host, within=READY)
    assert set(outcome.refusals) <= {0, 502, 503, 504}
    return outcome.answers


def test_the_first_release_is_upgraded_and_a_rollback_that_goes_too_far_loses_nothing(release: Cluster) -> None:
    """Its StatefulSets had the chart's version as a label, so each database and the broker restart once. Its images do
    not start on a newer schema, so the current pods stay."""
    given = ["--reset-values", "--values", str(CHART / "ci" / "kind-values.yaml"), f"--set=ingress.host={release.host}"]
    answers = place_while(release, "upgrade", RELEASE, str(CHART), *given)
    release.await_ready()
    release.verify(answers)
    answers += place_while(release, "rollback", RELEASE, "1")
    release.helm("rollback", RELEASE, "2")
    release.await_ready()
    release.verify(answers)
