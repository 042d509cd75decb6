"""A release of the chart that changes nothing but its version restarts nothing."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHART = Path(__file__).parents[2] / "charts" / "oms"
MADE_INTO_PODS = ("Kafka", "KafkaNodePool")  # kinds whose labels the operator copies to pods


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the same chart with another version and appVersion."""
    copy = tmp_path_factory.mktemp("newer") / "oms"
    shutil.copytree(CHART, copy)
    chart = copy / "Chart.yaml"
    chart.write_text(re.sub(r"(?m)^(version|appVersion): .*$", r'\1: "9.8.7"', chart.read_text()))
    return copy


def lasting(rendered: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield what must not change: (kind, name, the part from which pods or volumes are made)."""
    for one in rendered.all:
        kind, name = one["kind"], one["metadata"]["name"]
        if kind in {"Deployment", "StatefulSet", "Job"}:
            yield kind, name, one["spec"]["template"]
        if kind == "StatefulSet":
            yield kind, f"{name}'s volumes", one["spec"]["volumeClaimTemplates"]
        if kind in MADE_INTO_PODS:
            yield kind, name, one
        if kind == "Cluster":
            yield kind, name, one["spec"]


def test_a_new_version_of_the_chart_restarts_nothing(helm: Any, newer: Path, example: Path) -> None:
    # The tag is pinned: otherwise it follows the appVersion, and the services' pods must be replaced one by one.
    values = {"image.tag": "1.2.3", "kafka.topicsJob.resources": {}}
    before, after = (list(lasting(helm.render(values, example, chart=chart))) for chart in (CHART, newer))
    assert len(before) > 5
    assert after == before


def test_a_new_app_version_replaces_the_services_and_leaves_their_platform_alone(helm: Any, newer: Path) -> None:
    values = {"kafka.mode": "embedded"}
    before, after = (list(lasting(helm.render(values, chart=chart))) for chart in (CHART, newer))
    changed = {kind for one, other in zip(before, after, strict=True) if one != other for kind in (one[0],)}
    assert changed == {"Deployment", "Job"}


def test_other_objects_say_which_version_made_them(helm: Any, newer: Path) -> None:
    labels = helm.render(chart=newer).of("Deployment")["oms-order"]["metadata"]["labels"]
    assert labels["helm.sh/chart"] == "oms-9.8.7"
    assert labels["app.kubernetes.io/version"] == "9.8.7"
