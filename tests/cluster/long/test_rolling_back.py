"""An upgrade that cannot work is rolled back with orders in flight."""

import json

import pytest
from support.chassis import eventually
from support.cluster import CHART, RELEASE, Cluster
from support.load import mix, post

pytestmark = pytest.mark.cluster

ORDERS = 300
WRONG = "tag-that-was-never-built"


def waits_for_image(cluster: Cluster, component: str) -> bool:
    """Whether a pod of a component cannot start because its image is missing."""
    states = [
        status["state"].get("waiting", {}).get("reason")
        for pod in cluster.pods(component)
        for status in pod["status"].get("initContainerStatuses", ())
    ]
    return bool({"ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff"} & set(states))


def test_an_upgrade_that_cannot_work_is_rolled_back_and_no_request_fails(cluster: Cluster) -> None:
    revision = json.loads(cluster.helm("status", RELEASE, "--output=json"))["version"]

    def upgrade_and_go_back() -> None:
        cluster.helm("upgrade", RELEASE, str(CHART), "--reuse-values", f"--set=image.tag={WRONG}")
        for name in ("order", "payment"):
            eventually(lambda: waits_for_image(cluster, name), 120.0)  # noqa: B023 - called within its round
        cluster.helm("rollback", RELEASE, str(revision), "--wait", "--timeout=4m")

    outcome = post(cluster.url, mix(ORDERS), spread=100.0, meanwhile=upgrade_and_go_back)
    assert not outcome.refusals
    assert len(outcome.answers) == ORDERS
    cluster.verify(outcome.answers)
