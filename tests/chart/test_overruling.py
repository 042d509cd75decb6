"""What the values say goes before what the chart says, and nothing is said twice."""

from collections.abc import Hashable, Iterator
from typing import Any

import pytest
import yaml


class Loader(yaml.SafeLoader):
    """Refuses a mapping that has a key twice, as what patches manifests does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), sorted(map(str, keys))
        return super().construct_mapping(node, deep)


OVERRULED = {
    "kafka.mode": "embedded",
    "serviceMonitor": {"enabled": True, "labels": {"app.kubernetes.io/part-of": "watched"}},
    "prometheusRule": {"enabled": True, "labels": {"app.kubernetes.io/part-of": "watched"}},
    "dashboards.labels": {"app.kubernetes.io/part-of": "watched"},
    "serviceDefaults.podAnnotations": {"kubectl.kubernetes.io/default-container": "mesh"},
    "services.order.env": {"OMS_LOG_LEVEL": "DEBUG", "OMS_KAFKA_REPLICATION": "7"},
    "services.order.extraEnv": [{"name": "OMS_CURRENCY", "value": "EUR"}, {"name": "OMS_GATEWAY", "value": "mine"}],
}


@pytest.fixture(scope="module")
def overruled(render: Any) -> Any:
    return render(OVERRULED)


def lists_of_variables(rendered: Any) -> Iterator[list[str]]:
    for pod in rendered.pods().values():
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            yield [one["name"] for one in container.get("env", ())]


def test_no_mapping_has_a_key_twice(overruled: Any) -> None:
    assert list(yaml.load_all(overruled.text, Loader))


def test_no_container_has_a_variable_twice(overruled: Any) -> None:
    """Server-side apply takes no such list."""
    for names in lists_of_variables(overruled):
        assert len(names) == len(set(names)), sorted(names)


def test_the_values_have_the_last_word(overruled: Any) -> None:
    env = {one["name"]: one.get("value") for one in overruled.container("oms-order")["env"]}
    assert (env["OMS_LOG_LEVEL"], env["OMS_CURRENCY"], env["OMS_GATEWAY"]) == ("DEBUG", "EUR", "mine")
    metadata = overruled.of("Deployment")["oms-order"]["spec"]["template"]["metadata"]
    assert metadata["annotations"]["kubectl.kubernetes.io/default-container"] == "mesh"
    for kind in ("ServiceMonitor", "PrometheusRule"):
        (one,) = overruled.of(kind).values()
        assert one["metadata"]["labels"]["app.kubernetes.io/part-of"] == "watched", kind


def test_the_job_of_topics_keeps_what_it_is_made_for(overruled: Any) -> None:
    (job,) = (pod for name, pod in overruled.pods().items() if name.startswith("Job/oms-topics"))
    env = {one["name"]: one.get("value") for one in job["containers"][0]["env"]}
    assert env["OMS_KAFKA_REPLICATION"] == "1"


def test_a_service_can_do_without_a_limit_that_the_others_have(render: Any) -> None:
    values = {"services.order.resources": {"limits": None, "requests": {"cpu": None}}}
    rendered = render(values)
    assert rendered.container("oms-order")["resources"] == {"requests": {"memory": "96Mi"}}
    assert "limits" in rendered.container("oms-payment")["resources"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"services.order.autoscaling.type": "keda", "services.order.consumes": []}, "consumes none"),
        ({"services.inventory.routes": ["/order"]}, "so has another service"),
    ],
)
def test_what_could_not_work_is_refused(helm: Any, values: dict[str, Any], said: str) -> None:
    assert said in helm.refusal(values)


def test_a_snapshot_s_class_may_be_the_default(render: Any) -> None:
    backup = {"enabled": True, "method": "volumeSnapshot"}
    spec = render({"database.mode": "cnpg", "database.cnpg.backup": backup}).of("Cluster")["oms-sms-postgres"]["spec"]
    assert "className" not in spec["backup"]["volumeSnapshot"]
