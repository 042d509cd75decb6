"""An installation of the first chart can be upgraded: nothing immutable differs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oms_contracts.topics import SERVICES

FIRST = Path(__file__).parent / "releases" / "oms-112641e.tgz"
# Fields of a StatefulSet that may change; all others are immutable.
MUTABLE = {
    "template",
    "replicas",
    "updateStrategy",
    "minReadySeconds",
    "ordinals",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
}
# Workloads whose names must not change. The mail catcher's did, but it has no data that must be kept.
LASTING = {*SERVICES, *(f"{name}-postgres" for name in SERVICES), "kafka"}
MODES = {
    "embedded": {"kafka.mode": "embedded"},
    "strimzi and cnpg": {"database.mode": "cnpg", "kafka.strimzi.nodePool": "oms-kafka"},
}


def immutable(rendered: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield (kind, name, the part that cannot be changed)."""
    for one in rendered.all:
        kind, name, spec = one["kind"], one["metadata"]["name"], one.get("spec", {})
        if kind == "StatefulSet":
            yield kind, name, {key: value for key, value in spec.items() if key not in MUTABLE}
        elif kind == "Deployment":
            yield kind, name, spec["selector"]
        elif kind == "Service":
            yield kind, name, spec.get("clusterIP")
        elif kind == "KafkaTopic":
            yield kind, name, (spec["topicName"], spec["replicas"], spec["partitions"])
        elif kind in {"KafkaNodePool", "Kafka", "KafkaUser"}:
            yield kind, name, spec.get("storage")
        elif kind == "Cluster":
            yield kind, name, (spec["bootstrap"], spec["storage"])


def component(name: str) -> str:
    return name.removeprefix("oms-")


@pytest.mark.parametrize("values", MODES.values(), ids=MODES.keys())
def test_immutable_fields_are_unchanged(helm: Any, values: dict[str, Any]) -> None:
    ours = {key: value for key, value in values.items() if key != "kafka.strimzi.nodePool"}
    before = {(kind, name): part for kind, name, part in immutable(helm.render(ours, chart=FIRST))}
    after = {(kind, name): part for kind, name, part in immutable(helm.render(values))}
    assert len(before) > 10
    kept = [key for key in before if key[0] not in {"Deployment", "Service"} or component(key[1]) in LASTING]
    assert {key: after.get(key) for key in kept} == {key: before[key] for key in kept}


def test_pods_of_both_releases_can_reach_a_database_by_its_name(helm: Any) -> None:
    values = {"kafka.mode": "embedded"}
    before, after = (
        helm.render(values, chart=chart).of("Service") for chart in (FIRST, FIRST.parents[3] / "charts/oms")
    )
    for name, service in before.items():
        if component(name) not in LASTING:
            continue
        ports = {(port["name"], port["port"]) for port in after[name]["spec"]["ports"]}
        assert {(port["name"], port["port"]) for port in service["spec"]["ports"]} <= ports
        assert after[name]["spec"]["selector"] == service["spec"]["selector"]


def test_secrets_of_the_first_chart_stay_unchanged(helm: Any, installed: Any) -> None:
    found = [
        {**one, "data": dict.fromkeys(one["stringData"], "a2VwdA==")}
        for one in helm.render({"kafka.mode": "embedded"}, chart=FIRST).all
        if one["kind"] == "Secret"
    ]
    released = {"meta.helm.sh/release-name": "oms", "meta.helm.sh/release-namespace": "shop"}
    for one in found:
        one["metadata"]["annotations"] = released
    after = installed(*found, kafka__mode="embedded").of("Secret")
    assert len(found) >= 6
    for one in found:
        assert after[one["metadata"]["name"]]["data"] == one["data"]
