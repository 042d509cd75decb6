"""Kafka as Strimzi's maintainers run it: pools, spreading, metrics, and whatever else the operator supports."""

from pathlib import Path
from typing import Any

import pytest
from support.apiserver import Manifest, manifest

BANK = ("--set=services.order.env.OMS_GATEWAY=bank", "--set=services.payment.env.OMS_GATEWAY=bank")
PRODUCTION = Path(__file__).parents[2] / "charts" / "oms" / "values-production.yaml"


def kafka(rendered: Any) -> dict[str, Any]:
    spec: dict[str, Any] = rendered.of("Kafka")["oms-kafka"]["spec"]
    return spec


def roles(rendered: Any) -> dict[str, list[str]]:
    return {name: one["spec"]["roles"] for name, one in rendered.of("KafkaNodePool").items()}


def test_production_has_controllers_separate_from_its_brokers(render: Any) -> None:
    rendered = render(file=PRODUCTION)
    assert roles(rendered) == {"broker": ["broker"], "controller": ["controller"]}
    assert {one["spec"]["replicas"] for one in rendered.of("KafkaNodePool").values()} == {3}
    assert roles(render()) == {"dual-role": ["controller", "broker"]}


@pytest.mark.parametrize(
    ("values", "taken"),
    [
        ({"nodes": 2}, False),
        ({"nodes": 2, "controllers": {"nodes": 3}}, True),
        ({"nodes": 3, "controllers": {"nodes": 2}}, False),
    ],
    ids=str,
)
def test_only_the_number_of_controllers_must_be_odd(
    helm: Any, render: Any, values: dict[str, Any], taken: bool
) -> None:
    given = {"kafka.strimzi": values}
    if taken:
        assert render(given)
    else:
        assert "must be odd" in helm.refusal(given)


def test_brokers_are_spread_over_nodes_and_zones(render: Any) -> None:
    spec = kafka(render(file=PRODUCTION))["kafka"]
    assert spec["rack"] == {"topologyKey": "topology.kubernetes.io/zone"}
    (spread,) = spec["template"]["pod"]["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "DoNotSchedule")
    assert spread["matchLabelKeys"] == ["strimzi.io/pool-name"]
    assert spec["template"]["initContainer"]["securityContext"]["runAsNonRoot"] is True  # it determines the zone
    assert "rack" not in kafka(render())["kafka"]


def test_metrics_of_brokers_and_groups_are_exported_and_scraped(render: Any) -> None:
    values = {"kafka.strimzi.metrics": True, "serviceMonitor.enabled": True, "kafka.prefix": "staging."}
    rendered = render(values)
    assert kafka(rendered)["kafka"]["metricsConfig"] == {"type": "strimziMetricsReporter"}
    exporter = kafka(rendered)["kafkaExporter"]
    assert exporter["topicRegex"] == exporter["groupRegex"] == "staging\\..*"  # without those of others on this Kafka
    assert exporter["template"]["container"]["securityContext"]["runAsNonRoot"] is True
    monitor = rendered.of("PodMonitor")["oms-kafka"]["spec"]
    assert monitor["selector"]["matchExpressions"][0]["values"] == ["oms-kafka"]
    assert monitor["podMetricsEndpoints"][0]["port"] == "tcp-prometheus"
    assert not render({"kafka.strimzi.metrics": True}).of("PodMonitor")


def test_databases_of_cloudnativepg_are_scraped(render: Any) -> None:
    rendered = render(
        {"database.mode": "cnpg", "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}
    )
    monitor = rendered.of("PodMonitor")["oms-postgres"]
    assert set(monitor["spec"]["selector"]["matchExpressions"][0]["values"]) == set(rendered.of("Cluster"))
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert not render({"serviceMonitor.enabled": True}).of("PodMonitor")


def test_production_pins_kafka_and_is_found_by_prometheus(render: Any) -> None:
    rendered = render(file=PRODUCTION)
    assert kafka(rendered)["kafka"]["version"]
    for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule"):
        for one in rendered.of(kind).values():
            assert one["metadata"]["labels"]["release"] == "kube-prometheus-stack"


def test_kafka_and_its_pools_accept_whatever_else_strimzi_supports(render: Any) -> None:
    more = {
        "cruiseControl": {},
        "kafka": {"config": {"log.retention.hours": 72}, "template": {"pod": {"priorityClassName": "x"}}},
    }
    rendered = render({"kafka.strimzi.spec": more, "kafka.strimzi.nodePoolSpec": {"jvmOptions": {"-Xmx": "1g"}}})
    spec = kafka(rendered)
    assert spec["cruiseControl"] == {}
    assert spec["kafka"]["config"]["log.retention.hours"] == 72
    assert spec["kafka"]["config"]["auto.create.topics.enable"] is False  # merged, not replaced
    assert spec["kafka"]["template"]["pod"]["priorityClassName"] == "x"
    assert spec["kafka"]["template"]["pod"]["securityContext"]["runAsNonRoot"] is True
    assert rendered.of("KafkaNodePool")["dual-role"]["spec"]["jvmOptions"] == {"-Xmx": "1g"}


def pool(name: str, *its_roles: str) -> Manifest:
    labels = {"strimzi.io/cluster": "oms-kafka"}
    return manifest("KafkaNodePool", name, "kafka.strimzi.io/v1", spec={"roles": list(its_roles)}, labels=labels)


def test_nodes_keep_the_role_of_controller(refused: Any) -> None:
    both = pool("dual-role", "controller", "broker")
    assert "kafka.strimzi.controllers.nodes=0" in refused(both, kafka__strimzi__controllers__nodes=3)
    assert refused(both) == ""
    apart = (pool("dual-role", "broker"), pool("controller", "controller"))
    assert "brokers alone" in refused(*apart)
    assert refused(*apart, kafka__strimzi__controllers__nodes=3) == ""


def test_production_says_in_its_first_lines_what_is_simulated_and_what_is_open() -> None:
    first = PRODUCTION.read_text().split("image:")[0]
    assert "NO PAYMENT IS TAKEN" in first
    assert "WHO MAY READ ORDERS" in first


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), {"NO PAYMENT IS TAKEN", "mail catcher"}),
        (
            (*BANK, "--set=ingress.enabled=true"),
            {"offers orders", "mail catcher"},
        ),
        (
            (
                *BANK,
                "--set=notifications.smtp.host=a",
                "--set=notifications.sms.url=https://a",
            ),
            set(),
        ),
    ],
    ids=["default", "open", "real"],
)
def test_the_notes_say_what_is_simulated_and_what_is_open(helm: Any, options: tuple[str, ...], said: set[str]) -> None:
    chart = str(PRODUCTION.parent)
    done = helm.run("install", "oms", chart, "--dry-run=client", "--namespace=shop", "--set=image.local=true", *options)
    assert done.returncode == 0, done.stderr
    notes = done.stdout.split("NOTES:")[1].split("1. Wait")[0]
    assert {one for one in ("NO PAYMENT IS TAKEN", "mail catcher", "offers orders") if one in notes} == said
