"""Every metric of the services is shown or alerted on, and counters begin at zero."""

import json
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from oms_chassis.runtime.drain import LastResort
from oms_chassis.runtime.process import Process
from oms_contracts.topics import SERVICES, TOPICS, emitted_by, read_by
from oms_notifications.jobs import STATES
from oms_notifications.messages import Kind
from oms_order.domain import Fact, Status
from oms_order.refunds import RefundStatus

CHART = Path(__file__).parents[2] / "charts" / "oms"
SHOWN = "".join(path.read_text() for path in [*CHART.glob("dashboards/*.json"), CHART / "files" / "alerts.yaml"])
# Metrics that no dashboard shows and no alert queries, and why.
UNSEEN: Mapping[str, str] = {}
# Labels that Prometheus and the ServiceMonitor add to the services' metrics.
TARGET = {"namespace", "pod", "service", "release", "job", "instance", "container", "endpoint"}
# Labels of others' metrics: https://kubernetes.io/docs/reference/instrumentation/metrics/ (the kubelet) and
# https://github.com/google/cadvisor/blob/master/docs/storage/prometheus.md with the labels that the kubelet adds.
VOLUME, CONTAINER = {"namespace", "persistentvolumeclaim"}, {"namespace", "pod", "container"}
ELSEWHERE = {
    "up": TARGET,
    "kubelet_volume_stats_available_bytes": VOLUME,
    "kubelet_volume_stats_capacity_bytes": VOLUME,
    "container_cpu_usage_seconds_total": CONTAINER,
    "container_memory_working_set_bytes": CONTAINER,
    # Strimzi's metrics reporter names a metric by its MBean (https://github.com/strimzi/metrics-reporter),
    # CloudNativePG lists its own: https://cloudnative-pg.io/documentation/current/monitoring/. PodMonitors label both.
    "kafka_server_replicamanager_underreplicatedpartitions": TARGET - {"service"},
    "kafka_controller_kafkacontroller_offlinepartitionscount": TARGET - {"service"},
    "cnpg_pg_replication_lag": TARGET - {"service"},
    # https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/cronjob-metrics.md
    "kube_cronjob_created": {"namespace", "cronjob"},
    "kube_cronjob_status_last_successful_time": {"namespace", "cronjob"},
}
OPERATED = {
    "prometheusRule.enabled": True,
    "serviceMonitor.enabled": True,
    "database.mode": "cnpg",
    "kafka.strimzi.metrics": True,
}
BACKED_UP = {"prometheusRule.enabled": True, "database.embedded.backup.enabled": True}
SELECTOR = r"\b(?<!:)([a-z_][a-z0-9_:]+)\{([^}]*)\}"
QUEUES = {"payment": {"charge", "refund", "requested-refund"}, "sms": {"sms"}, "email": {"email"}}


@pytest.fixture(scope="module")
def registries(render: Any) -> Iterator[dict[str, CollectorRegistry]]:
    """Return each service's metrics before anything has happened."""
    made = {
        service: Process(import_module(f"oms_{service}.main").SERVICE, render().settings(service), LastResort())
        for service in SERVICES
    }
    yield {service: process._metrics.registry for service, process in made.items()}
    for process in made.values():
        for _, close in process._closings():
            close()


def counted(registry: CollectorRegistry) -> dict[str, set[tuple[str, ...]]]:
    """Return the label values of each counter, in the order of the labels' names."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for metric in registry.collect():
        if metric.type == "counter":
            samples = [one for one in metric.samples if one.name.endswith("_total")]
            assert all(one.value == 0 for one in samples), metric.name
            found[metric.name] = {tuple(value for _, value in sorted(one.labels.items())) for one in samples}
    return found


def test_every_metric_is_on_a_dashboard_or_in_an_alert_or_there_is_a_reason(
    registries: dict[str, CollectorRegistry],
) -> None:
    names = {metric.name for registry in registries.values() for metric in registry.collect()}
    assert {name for name in names if name not in SHOWN} == set(UNSEEN)


@pytest.fixture(scope="module")
def labels(render: Any, registries: dict[str, CollectorRegistry]) -> dict[str, set[str]]:
    """Return the labels of every metric of the services, including those that scraping adds."""
    found = {name: set(own) for name, own in ELSEWHERE.items()}
    for registry in registries.values():
        for collector, names in registry._collector_to_names.items():
            own = getattr(collector, "_labelnames", None)
            for metric in collector.collect() if own is None else ():
                own = (*(own or ()), *(label for sample in metric.samples for label in sample.labels))
            for name in names:
                found.setdefault(name, set(TARGET)).update(own or (), ("le",) if name.endswith("_bucket") else ())
    recorded = (one["record"] for one in rules(render(OPERATED)) if "record" in one)
    return {**found, **{name: {"namespace", "release", "slo"} for name in recorded}}


def rules(rendered: Any) -> Iterator[dict[str, Any]]:
    """The alerts, and what is recorded."""
    for group in rendered.of("PrometheusRule")["oms"]["spec"]["groups"]:
        yield from group["rules"]


def expressions(render: Any) -> Iterator[tuple[str, str]]:
    """Yield the query of every panel, dashboard variable and alert, with its name."""
    rendered = render(OPERATED)
    for one in (*rules(rendered), *rules(render(BACKED_UP))):
        yield one.get("alert") or one["record"], one["expr"]
    for config in (one for name, one in rendered.of("ConfigMap").items() if "dashboard" in name):
        board = json.loads(next(iter(config["data"].values())))
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                asked, _, label = variable["query"].removeprefix("label_values(").removesuffix(")").rpartition(", ")
                yield f"{board['title']}: ${variable['name']}", f"count by ({label}) ({asked})"
        for panel in board["panels"]:
            for target in panel["targets"]:
                yield f"{board['title']}: {panel['title']}", target["expr"]


def test_queried_metrics_have_the_labels_used_in_the_query(render: Any, labels: dict[str, set[str]]) -> None:
    count = 0
    for name, expression in expressions(render):
        bare = re.sub(r'"[^"]*"', '""', expression)
        selectors = re.findall(SELECTOR, bare) or [(bare.split("(")[-1].rstrip(")"), "")]
        common: set[str] = set()
        for metric, matchers in selectors:
            assert metric in labels, name
            assert {one.strip() for one in re.findall(r"(\w+)\s*[=!]", matchers)} <= labels[metric], name
            common |= labels[metric]
        for grouped in re.findall(r"\b(?:by|on|without) \(([^)]*)\)", bare):
            assert {one.strip() for one in grouped.split(",")} <= common, name
        count += 1
    assert count > 60


def test_every_panel_shows_one_installation(render: Any) -> None:
    for name, expression in expressions(render):
        for metric, matchers in re.findall(SELECTOR, expression):
            if ": $" in name or ": " not in name:
                continue
            assert 'namespace="$namespace"' in matchers, name
            scraped = 'release="$release"' in matchers
            assert scraped or "$prefix-" in matchers, (name, metric)


def test_dashboards_open_with_the_installation_that_brought_them(render: Any) -> None:
    rendered = render(name="two", namespace="a")
    for config in (one for name, one in rendered.of("ConfigMap").items() if "dashboard" in name):
        variables = {one["name"]: one for one in json.loads(next(iter(config["data"].values())))["templating"]["list"]}
        assert variables["namespace"]["current"]["value"] == "a"
        assert variables["release"]["current"]["value"] == "two"


def test_the_names_of_pods_say_how_those_of_a_release_begin(render: Any) -> None:
    (config,) = (one for name, one in render(name="two").of("ConfigMap").items() if name.endswith("dashboard-services"))
    variables = {one["name"]: one for one in json.loads(next(iter(config["data"].values())))["templating"]["list"]}
    pattern = re.compile(variables["prefix"]["regex"].strip("/"))
    found = pattern.match("two-oms-order-7c9f8d6b5-x2vlp")
    assert found is not None
    assert found.group(1) == "two-oms"


@pytest.mark.parametrize("service", SERVICES)
def test_every_counter_exists_from_the_start_for_all_labels_known_beforehand(
    registries: dict[str, CollectorRegistry], service: str
) -> None:
    read, emitted = set(read_by(service)), set(emitted_by(service))
    queues = QUEUES.get(service, set())
    tombstones = {("tombstone", topic.name) for topic in TOPICS if topic.compacted and topic.name in read}
    expected = {
        "oms_consumer_events": {(o, t) for o in ("applied", "duplicate", "dead") for t in read} | tombstones,
        "oms_dead_letters": {(topic,) for topic in read},
        "oms_consumer_gaps": {(topic,) for topic in read},
        "oms_relay_events": {(topic,) for topic in emitted},
        "oms_outbox_quarantined": {(topic,) for topic in emitted},
        "oms_job_calls": {(outcome, queue) for outcome in ("done", "paused", "retry", "waiting") for queue in queues},
        "oms_spans": {("sent",), ("failed",), ("dropped",)},
        "oms_job_settle_failures": {(queue,) for queue in queues},
        "oms_http_refusals": set(),  # those of the gate, which exists once requests are served
    }
    if service == "order":
        expected["oms_orders"] = {(status,) for status in Status}
        expected["oms_refunds"] = {(status,) for status in RefundStatus}
        expected["oms_orders_contradictions"] = expected["oms_unknown_order_events"] = {(fact,) for fact in Fact}
    if service == "payment":
        expected["oms_payment_charge_mismatches"] = {()}
        expected["oms_payment_compensations_failed"] = expected["oms_payment_refunded_twice"] = {()}
        expected["oms_payment_disputes"] = {()}
    if service in {"sms", "email"}:
        expected["oms_messages"] = {(service, kind, state) for kind in Kind for state in STATES}
    found = counted(registries[service])
    tasks = found.pop("oms_task_failures")
    assert found == expected
    assert ("prune-inbox",) in tasks
