"""Numbers in a values file arrive as they were written, although Go writes floats from a million on as 1e+06."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).parents[2] / "charts" / "oms"
MANY = 1_234_567
EXPONENT = re.compile(r"\d[eE]\+\d")

# Every value that may be a million or more, by its path; a key with dots in it is one element.
NUMBERS: dict[tuple[str, ...], int] = {
    ("podSecurity", "runAsUser"): 1_000_660_000,  # as OpenShift numbers them
    ("podSecurity", "runAsGroup"): 1_000_660_000,
    ("services", "order", "env", "OMS_OUTBOX_LIMIT"): 1_000_000,
    ("services", "order", "env", "OMS_BODY_LIMIT"): 1_048_576,
    ("services", "order", "replicas"): MANY,
    ("services", "payment", "autoscaling", "minReplicas"): MANY,
    ("services", "payment", "autoscaling", "maxReplicas"): MANY,
    ("services", "payment", "autoscaling", "lagThreshold"): MANY,
    ("services", "sms", "autoscaling", "minReplicas"): MANY,
    ("services", "sms", "autoscaling", "maxReplicas"): MANY,
    ("database", "embedded", "parameters", "work_mem"): 16_777_216,
    ("database", "embedded", "parameters", "max_connections"): 100_000_000,  # for so many replicas
    ("database", "embedded", "runAsUser"): 1_000_660_000,
    ("database", "cnpg", "parameters", "work_mem"): 16_777_216,
    ("database", "cnpg", "parameters", "max_connections"): 100_000_000,
    ("database", "cnpg", "instances"): MANY,
    ("topics", "orderCreatedEvent", "partitions"): MANY,
    ("topics", "orderCreatedEvent", "config", "retention.ms"): 2_592_000_000,
    ("topicDefaults", "partitions"): MANY,
    ("topicDefaults", "config", "retention.ms"): 604_800_000,
    ("topicDefaults", "config", "retention.bytes"): -1,
    ("kafka", "replication"): MANY,
    ("kafka", "minInSyncReplicas"): MANY,
    ("kafka", "strimzi", "nodes"): 1_234_569,
    ("kafka", "strimzi", "config", "log.segment.bytes"): 1_073_741_824,
    ("kafka", "embedded", "runAsUser"): 1_000_660_000,
    ("test", "timeoutSeconds"): MANY,
}
CHOICES = {
    "image": {"registry": "registry.example.com/team"},
    "catalogue": [{"id": "House", "name": "House", "unitPrice": 1_000_000_000, "onHand": MANY}],
    "networkPolicy": {"kafkaFrom": [{"namespaceSelector": {}}]},
    "services": {"payment": {"autoscaling": {"type": "keda"}}, "sms": {"autoscaling": {"type": "hpa"}}},
}


def nested(numbers: Mapping[tuple[str, ...], int]) -> dict[str, Any]:
    """Return the values as in a file."""
    values: dict[str, Any] = {}
    for path, number in numbers.items():
        place = values
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = number
    return values


@pytest.fixture(params=["values file", "--set"])
def given(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """Return Helm's arguments for all the numbers, in both ways."""
    (choices := tmp_path / "choices.yaml").write_text(yaml.safe_dump(CHOICES))
    if request.param == "--set":
        paths = {".".join(key.replace(".", "\\.") for key in path): number for path, number in NUMBERS.items()}
        return ["-f", str(choices), *(f"--set={path}={number}" for path, number in paths.items())]
    (numbers := tmp_path / "numbers.yaml").write_text(yaml.safe_dump(nested(NUMBERS)))
    return ["-f", str(choices), "-f", str(numbers)]


@pytest.fixture(params=[("embedded", "embedded"), ("strimzi", "cnpg")], ids=" and ".join)
def rendered(request: pytest.FixtureRequest, helm: Any, given: list[str]) -> Any:
    """Return the chart rendered with all the numbers."""
    kafka, database = request.param
    modes = [f"--set=kafka.mode={kafka}", f"--set=database.mode={database}"]
    modes += ["--set=kafka.replication=1,kafka.minInSyncReplicas=1"] * (kafka == "embedded")  # it is one broker
    return helm.template("oms", str(CHART), "--kube-version=1.34.0", *given, *modes)


def test_no_number_is_written_with_an_exponent(rendered: Any) -> None:
    found = [line for line in rendered.text.splitlines() if EXPONENT.search(line)]
    assert found == []


def test_numbers_arrive_as_they_were_written(rendered: Any) -> None:
    env = {one["name"]: one.get("value") for one in rendered.container("oms-order")["env"]}
    assert (env["OMS_OUTBOX_LIMIT"], env["OMS_BODY_LIMIT"]) == ("1000000", "1048576")
    for scaled in rendered.of("ScaledObject").values():
        assert {one["metadata"]["lagThreshold"] for one in scaled["spec"]["triggers"]} == {str(MANY)}
    for name, topic in rendered.of("KafkaTopic").items():
        expected = 2_592_000_000 if name == "oms-order-created-event" else 604_800_000
        assert topic["spec"]["config"]["retention.ms"] == expected
        assert topic["spec"]["config"]["retention.bytes"] == -1
    for one in rendered.of("StatefulSet").values():
        command = one["spec"]["template"]["spec"]["containers"][0]["command"]
        assert "--work-mem=16777216" in command or "postgres" not in command


def test_prices_of_millions_arrive_as_they_were_written(rendered: Any) -> None:
    text = rendered.files("inventory")["catalogue.json"]
    assert json.loads(text) == CHOICES["catalogue"]
    assert f'"onHand":{MANY}' in text


def test_parameters_of_cloudnativepg_are_texts(rendered: Any) -> None:
    for cluster in rendered.of("Cluster").values():
        parameters = cluster["spec"]["postgresql"]["parameters"]
        assert parameters == {"max_connections": "100000000", "work_mem": "16777216"}


def test_a_number_that_a_file_cannot_hold_is_kept_in_quotes(render: Any) -> None:
    rendered = render({"topicDefaults.config": {"retention.ms": "9223372036854775807"}})
    config = rendered.of("KafkaTopic")["oms-order-created-event"]["spec"]["config"]
    assert config["retention.ms"] == 9223372036854775807
