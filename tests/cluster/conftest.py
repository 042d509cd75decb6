"""The release that scripts/kind-up.sh installed, which is healthy before and after each test."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator

import httpx2
import pytest
from support.cluster import CONTEXT, NAMESPACE, RELEASE, Cluster


def why_not() -> str | None:
    """Return what is missing for these tests, if anything."""
    if missing := [tool for tool in ("kubectl", "helm") if not shutil.which(tool)]:
        return f"{', '.join(missing)} not on the PATH"
    command = ["helm", "--kube-context", CONTEXT, "--namespace", NAMESPACE, "status", RELEASE]
    if subprocess.run(command, capture_output=True, timeout=30, check=False).returncode != 0:
        return f"no release {RELEASE} in {CONTEXT}: scripts/kind-up.sh makes one"
    return None


@pytest.fixture(scope="session")
def installed() -> Cluster:
    """Return the release that scripts/kind-up.sh installed."""
    if reason := why_not():
        assert not os.environ.get("OMS_TOOLS_REQUIRED"), reason
        pytest.skip(reason)
    return Cluster()


@pytest.fixture
def cluster(installed: Cluster) -> Iterator[Cluster]:
    """Yield the release with everything ready, and wait until it is so again before the next test."""
    installed.await_ready()
    yield installed
    installed.await_ready()


@pytest.fixture
def place(cluster: Cluster) -> Callable[[], str]:
    """Return a function that places the sample order through the Ingress, waits for its end, and returns its id."""
    from support.orders import body, ended
    from support.orders import place as post

    def placed() -> str:
        with httpx2.Client(base_url=cluster.url, timeout=20.0) as client:
            order_id = post(client, body())
            assert ended(client, order_id)["status"] == "CONFIRMED"
            return order_id

    return placed
