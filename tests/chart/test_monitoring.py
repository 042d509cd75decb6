"""Alerts and dashboards query metrics that exist, and each alert has a helpful page."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from oms_chassis.runtime.watchdog import Watchdog
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.topics import SERVICES

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "oms"
ELSEWHERE = {
    "up",
    "kubelet_volume_stats_available_bytes",
    "kubelet_volume_stats_capacity_bytes",
    "container_cpu_usage_seconds_total",
    "container_memory_working_set_bytes",
    "kube_cronjob_created",
    "kube_cronjob_status_last_successful_time",
}
ON = {"serviceMonitor.enabled": True, "prometheusRule.enabled": True}
ARCHIVED = {"enabled": True, "objectStore": "store"}
OPERATED = {**ON, "database.mode": "cnpg", "database.cnpg.backup": ARCHIVED, "kafka.strimzi.metrics": True}
BACKED_UP = {**ON, "database.embedded.backup.enabled": True}


@pytest.fixture(scope="module")
def measured(render: Any) -> set[str]:
    """Return the names of all metrics of the services."""
    registries = [CollectorRegistry() for _ in SERVICES]
    for service, registry in zip(SERVICES, registries, strict=True):
        Metrics(registry)
        Watchdog(dict, 1.0, registry)
        render().parts(service, registry)
    names = set()
    for metric in (metric for registry in registries for metric in registry.collect()):
        suffixes = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",)}.get(metric.type, ("",))
        names |= {metric.name + suffix for suffix in suffixes}
    return names


def asked_for(expression: str) -> set[str]:
    """Return the metrics that an expression names: words before a selector."""
    return set(re.findall(r"\b(?<!:)([a-z][a-z0-9_:]+)\{", expression))


def alerts(rendered: Any) -> list[dict[str, Any]]:
    return [one for one in rules(rendered) if "alert" in one]


def rules(rendered: Any) -> list[dict[str, Any]]:
    """The alerts, and what is recorded."""
    groups = next(iter(rendered.of("PrometheusRule").values()))["spec"]["groups"]
    return [one for group in groups for one in group["rules"]]


def test_alerts_query_metrics_that_exist(render: Any, measured: set[str]) -> None:
    all_rules = rules(render(BACKED_UP))
    recorded = {one["record"] for one in all_rules if "record" in one}
    for one in all_rules:
        names = asked_for(one["expr"])
        assert names, one
        assert names <= measured | recorded | ELSEWHERE, one


def test_every_alert_links_to_a_page_that_exists_and_every_page_has_an_alert(render: Any) -> None:
    address = {"prometheusRule.runbooks": "https://docs.example.com/runbooks/"}
    pages = {path.name for path in (ROOT / "docs" / "runbooks").glob("Oms*.md")}
    linked = set()
    for alert in (*alerts(render({**OPERATED, **address})), *alerts(render({**BACKED_UP, **address}))):
        assert alert["annotations"]["runbook_url"] == f"https://docs.example.com/runbooks/{alert['alert']}.md"
        linked.add(f"{alert['alert']}.md")
    assert linked == pages
    assert len(linked) >= 10


def test_every_page_says_where_to_look_and_what_to_do() -> None:
    for page in (ROOT / "docs" / "runbooks").glob("Oms*.md"):
        text = page.read_text()
        assert text.startswith(f"# {page.stem}\n")
        assert "```sh" in text
        assert "## Causes and repairs" in text


def test_metrics_of_operators_are_watched_if_they_exist(render: Any) -> None:
    theirs = {
        "OmsKafkaUnderReplicated",
        "OmsKafkaPartitionsOffline",
        "OmsDatabaseReplicaLagging",
        "OmsDatabaseBackupOverdue",
        "OmsDatabaseNotArchived",
    }
    names = [{one["alert"] for one in alerts(render(values))} for values in (OPERATED, ON)]
    assert names[0] - names[1] == theirs
    unscraped = {**OPERATED, "serviceMonitor.enabled": False}
    assert {one["alert"] for one in alerts(render(unscraped))} == names[1]


def test_an_alert_can_be_left_out(render: Any) -> None:
    names = {one["alert"] for one in alerts(render({**ON, "prometheusRule.disabled": ["OmsHttpSlow"]}))}
    assert "OmsHttpSlow" not in names
    assert "OmsHttpErrors" in names


def test_alerts_watch_only_this_release(render: Any) -> None:
    by_name = {"kubelet": '"(data-)?oms-b-(', "kube_cronjob": 'cronjob="oms-b-backup"'}
    for one in rules(render(BACKED_UP, name="oms-b")):
        for selector in re.findall(r"(\w+)\{([^}]*)\}", one["expr"]):
            own = next((how for what, how in by_name.items() if selector[0].startswith(what)), 'release="oms-b"')
            assert 'namespace="shop"' in selector[1], one
            assert own in selector[1], one
        said = one["expr"] + one.get("annotations", {}).get("summary", "")
        assert not re.search(r"SCOPE|NAMESPACE|SERVICE|VOLUMES|BACKUP|OVERDUE|SECONDS", said)


def test_alerts_of_two_installations_are_two_alerts(render: Any) -> None:
    for alert in alerts(render(ON, name="oms-b")):
        assert (alert["labels"]["namespace"], alert["labels"]["release"]) == ("shop", "oms-b"), alert["alert"]


def test_scraped_metrics_have_the_labels_by_which_alerts_select(render: Any) -> None:
    relabelings = render(ON).of("ServiceMonitor")["oms"]["spec"]["endpoints"][0]["relabelings"]
    labels = {one["targetLabel"]: one for one in relabelings}
    assert labels["release"]["replacement"] == "oms"
    assert labels["service"]["sourceLabels"] == ["__meta_kubernetes_service_label_app_kubernetes_io_component"]


def test_dashboards_are_labelled_and_query_metrics_that_exist(render: Any, measured: set[str]) -> None:
    found = [one for name, one in render().of("ConfigMap").items() if "dashboard" in name]
    recorded = {one["record"] for one in rules(render(ON)) if "record" in one}
    assert len(found) == 3
    for one in found:
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
        dashboard = json.loads(next(iter(one["data"].values())))
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                assert asked_for(target["expr"]) <= measured | recorded | ELSEWHERE, panel["title"]
                assert 'namespace="$namespace"' in target["expr"]


def test_dashboards_show_a_sixth_service_next_to_the_others(render: Any) -> None:
    rendered = render(file=CHART / "ci" / "sixth-values.yaml")
    services = "|".join(sorted([*SERVICES, "loyalty-points"]))
    board = json.loads(rendered.of("ConfigMap")["oms-dashboard-services"]["data"]["shop-oms-services.json"])
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    assert any(
        f'up{{namespace="$namespace", release="$release", service=~"{services}"}}' in expression for expression in asked
    )
    assert not any("SERVICES" in expression for expression in asked)


def test_dashboards_have_identities_of_their_own() -> None:
    loaded = [json.loads(path.read_text()) for path in (CHART / "dashboards").glob("*.json")]
    assert len({one["uid"] for one in loaded}) == len(loaded) == len({one["title"] for one in loaded})


def test_prometheus_scrapes_the_services_and_not_their_databases(render: Any) -> None:
    monitor = render(ON).of("ServiceMonitor")["oms"]["spec"]
    assert monitor["endpoints"][0]["port"] == "internal"
    assert monitor["selector"]["matchExpressions"][0]["values"] == sorted(SERVICES)


def dashboards(rendered: Any) -> dict[str, dict[str, Any]]:
    """Return the dashboards by the files that a sidecar would write."""
    found = [one for name, one in rendered.of("ConfigMap").items() if "dashboard" in name]
    return {file: json.loads(text) for one in found for file, text in one["data"].items()}


def test_dashboards_of_two_installations_are_two(render: Any) -> None:
    ones = [
        dashboards(render(name=name, namespace=where)) for name, where in (("oms", "a"), ("oms", "b"), ("two", "a"))
    ]
    for what in (
        [file for one in ones for file in one],
        [board["uid"] for one in ones for board in one.values()],
        [board["title"] for one in ones for board in one.values()],
    ):
        assert len(set(what)) == len(what) == 9
    assert max(len(board["uid"]) for one in ones for board in one.values()) <= 40  # Grafana's limit


def test_an_alert_has_no_link_if_the_pages_are_not_published(render: Any) -> None:
    assert all("runbook_url" not in alert["annotations"] for alert in alerts(render(ON)))
