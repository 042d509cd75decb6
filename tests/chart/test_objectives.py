"""Objectives: how fast their error budgets burn, over hours and days, and what is overdue."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prometheus_client import CollectorRegistry
from support.promtool import Rules, Series, series

from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.topics import SERVICES
from oms_order.metrics import OrderMetrics

pytestmark = pytest.mark.timeout(2000)  # promtool may have to be built first

CHART = Path(__file__).parents[2] / "charts" / "oms"
ON = {"prometheusRule.enabled": True}
FAST, SLOWLY = "OmsSloBurningFast", "OmsSloBurningSlowly"
ALERTS = {FAST, SLOWLY}
STEP = "2m30s"  # so that the shortest window, five minutes, contains two samples
HOUR, DAY = 24, 576  # samples
ORDER = {"service": "order", "pod": "oms-order-0"}
POSTED = {**ORDER, "method": "POST", "route": "/order"}


def answered(status: str) -> str:
    return series("oms_http_request_seconds_count", **POSTED, status=status)


def accepted_within(le: str) -> str:
    return series("oms_http_request_seconds_bucket", **POSTED, status="202", le=le)


def confirmed(le: str = "") -> str:
    if le:
        return series("oms_order_confirmation_seconds_bucket", **ORDER, le=le)
    return series("oms_order_confirmation_seconds_count", **ORDER)


class History(NamedTuple):
    """The counter of errors while a thousand good answers are added per sample, and the alerts that fire in the end."""

    what: str
    errors: str
    asked: str
    fires: set[str]


ALWAYS = f"0+1000x{32 * HOUR}"
HISTORIES = [
    History("2 % for an hour", f"0x{DAY} 0+20x{HOUR}", "25h", {FAST}),
    History("2 % for an hour, which is over", f"0x{DAY} 0+20x{HOUR} 480x{HOUR}", "25h20m", set()),
    History("0.8 % for six hours", f"0x{DAY} 0+8x{6 * HOUR}", "30h", {FAST, SLOWLY}),
    History("0.4 % for a day", f"0+4x{DAY + HOUR}", "24h", {SLOWLY}),
    History("0.2 % for a day", f"0+2x{DAY + HOUR}", "24h", {SLOWLY}),
    History("0.05 % for a day", f"0+0.5x{DAY + HOUR}", "24h", set()),
]


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.what)
def test_alerts_depend_on_how_long_and_how_fast_the_budget_burns(
    render: Any, rules: Callable[..., Rules], history: History
) -> None:
    good = {answered("202"): ALWAYS, accepted_within("0.5"): ALWAYS}
    expected = [(alert, {"slo": "placing-availability"}) for alert in sorted(history.fires)]
    given = {**good, answered("503"): history.errors}
    rules(render(ON), *ALERTS).fire(given, expected, history.asked, STEP, evaluated="4m")


def test_errors_burn_the_budget_even_without_good_answers(render: Any, rules: Callable[..., Rules]) -> None:
    expected = [(FAST, {"slo": "placing-availability"})]
    rules(render(ON), *ALERTS).fire({answered("503"): "0+1000x8"}, expected, "12m", STEP)


def burning(slo: str) -> list[tuple[str, dict[str, str]]]:
    return [(alert, {"slo": slo}) for alert in sorted(ALERTS)]


STEADY, NOTHING = "0+1000x72", "0x72"  # three hours


def test_each_objective_counts_its_own_events(render: Any, rules: Callable[..., Rules]) -> None:
    slow = {answered("202"): STEADY, accepted_within("0.25"): NOTHING}
    late = {confirmed(): STEADY, confirmed("5.0"): NOTHING}
    tried = rules(render(ON), *ALERTS)
    for given, fires in (
        ({answered("422"): STEADY, answered("429"): STEADY}, []),  # the callers' mistakes
        ({answered("202"): STEADY, answered("500"): NOTHING, accepted_within("0.5"): STEADY}, []),
        ({**slow, accepted_within("0.5"): STEADY}, []),
        ({**slow, accepted_within("0.5"): NOTHING}, burning("placing-latency")),
        ({**late, confirmed("10.0"): STEADY}, []),
        ({**late, confirmed("10.0"): NOTHING}, burning("confirmation")),
        ({}, []),  # there are no orders
        ({answered("202"): "7x72", confirmed(): "7x72"}, []),  # nor now any more
    ):
        tried.fire(given, fires, "2h", STEP)


def test_objectives_are_values(render: Any, rules: Callable[..., Rules]) -> None:
    half = {confirmed(): STEADY, confirmed("10.0"): "0+500x72", confirmed("30.0"): STEADY}
    for values, fires in (
        ({}, burning("confirmation")),
        ({"slo.confirmation.seconds": 30}, []),
        ({"slo.confirmation.objective": 0}, []),
        ({"slo.confirmation.objective": 40}, []),
    ):
        rules(render({**ON, **values}), *ALERTS).fire(half, fires, "2h", STEP)


@pytest.mark.parametrize(
    "values",
    [
        {f"slo.{one}.objective": 0 for one in ("placingAvailability", "placingLatency", "confirmation")},
        {"services.order.enabled": False},
    ],
    ids=["no objective", "no order service"],
)
def test_without_objectives_nothing_is_recorded_or_queried(render: Any, values: dict[str, Any]) -> None:
    groups = render({**ON, **values}).of("PrometheusRule")["oms"]["spec"]["groups"]
    assert [group["name"] for group in groups] == ["oms"]
    assert not ALERTS & {one["alert"] for one in groups[0]["rules"]}


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"slo.confirmation.seconds": 7}, "/slo/confirmation/seconds"),
        ({"slo.placingLatency.seconds": 0.3}, "/slo/placingLatency/seconds"),
        ({"slo.placingAvailability.objective": 100}, "/slo/placingAvailability/objective"),
    ],
)
def test_an_objective_that_cannot_be_measured_is_refused(helm: Any, values: dict[str, Any], complaint: str) -> None:
    assert complaint in helm.refusal(values)


BACKED_UP = {**ON, "database.embedded.backup": {"enabled": True, "overdueHours": 30}}


def cron_job(what: str, name: str = "oms-backup") -> str:
    """Return a series of kube-state-metrics, which has no label of the release."""
    return f'kube_cronjob_{what}{{namespace="shop",cronjob="{name}"}}'


LAST_GOOD, CREATED = cron_job("status_last_successful_time"), cron_job("created")
BEGINNING, NEW = f"0x{2 * DAY}", f"86400x{2 * DAY}"  # when it was made


@pytest.mark.parametrize(
    ("measured", "fires"),
    [
        ({LAST_GOOD: f"0x{DAY} 86400x{DAY}", CREATED: BEGINNING}, False),
        ({LAST_GOOD: BEGINNING, CREATED: BEGINNING}, True),
        ({CREATED: NEW}, False),
        ({CREATED: BEGINNING}, True),
        ({}, True),
        ({cron_job("created", "oms-b-backup"): NEW}, True),
    ],
    ids=["one each day", "none for 32 hours", "none yet", "none ever", "nobody measures it", "another's is measured"],
)
def test_an_overdue_backup_fires_an_alert(
    render: Any, rules: Callable[..., Rules], measured: Series, fires: bool
) -> None:
    overdue = rules(render(BACKED_UP), "OmsBackupOverdue")
    overdue.fire(measured, [("OmsBackupOverdue", {})] if fires else [], "32h", STEP)


SCRAPED = {**ON, "serviceMonitor.enabled": True, "database.mode": "cnpg"}
ARCHIVED = {"enabled": True, "objectStore": "store", "overdueHours": 30}
SNAPSHOTS = {"enabled": True, "method": "volumeSnapshot", "overdueHours": 30}
BY_PLUGIN = "barman_cloud_cloudnative_pg_io_last_available_backup_timestamp"
BY_OPERATOR = "cnpg_collector_last_available_backup_timestamp"


def instance(metric: str, number: int = 1, service: str = "order", **more: str) -> str:
    """Return a series of one of a cluster's instances."""
    cluster = f"oms-{service}-postgres"
    return series(metric, pod=f"{cluster}-{number}", database=cluster, **more)


@pytest.mark.parametrize(
    ("backup", "metric"), [(ARCHIVED, BY_PLUGIN), (SNAPSHOTS, BY_OPERATOR)], ids=["plugin", "snapshots"]
)
@pytest.mark.parametrize(
    ("last", "fires"),
    [(f"0x{DAY} 86400x{DAY}", False), (BEGINNING, True), (None, True)],
    ids=["one each day", "none ever", "nobody measures it"],
)
def test_an_overdue_backup_of_a_cluster_fires_an_alert(
    render: Any, rules: Callable[..., Rules], backup: dict[str, Any], metric: str, last: str | None, fires: bool
) -> None:
    """Standbys report no backup; the other clusters have one."""
    overdue = rules(render({**SCRAPED, "database.cnpg.backup": backup}), "OmsDatabaseBackupOverdue")
    others = {instance(metric, service=one): NEW for one in SERVICES if one != "order"}
    measured = {instance(metric): last, instance(metric, 2): BEGINNING} if last else {}
    expected = [("OmsDatabaseBackupOverdue", {"service": "order"})] if fires else []
    overdue.fire({**others, **measured}, expected, "32h", STEP)


@pytest.mark.parametrize(
    ("archived", "failed", "fires"),
    [("0+150x300", "-1x300", False), ("0+150x100 15000x200", "-1x100 15150+150x200", True)],
    ids=["every file", "none any more"],
)
def test_a_cluster_that_archives_nothing_fires_an_alert(
    render: Any, rules: Callable[..., Rules], archived: str, failed: str, fires: bool
) -> None:
    """CloudNativePG reports -1 for never."""
    archiving = rules(render({**SCRAPED, "database.cnpg.backup": ARCHIVED}), "OmsDatabaseNotArchived")
    measured = {
        instance("cnpg_pg_stat_archiver_last_archived_time"): archived,
        instance("cnpg_pg_stat_archiver_last_failed_time"): failed,
    }
    expected = [("OmsDatabaseNotArchived", {"pod": "oms-order-postgres-1"})] if fires else []
    archiving.fire(measured, expected, "6h", STEP)


def backup_alerts(objects: Any) -> set[str]:
    (alerts, *_) = objects.of("PrometheusRule")["oms"]["spec"]["groups"]
    return {one["alert"] for one in alerts["rules"]} & {
        "OmsBackupOverdue",
        "OmsDatabaseBackupOverdue",
        "OmsDatabaseNotArchived",
    }


def test_backups_are_watched_only_if_they_are_enabled(render: Any) -> None:
    assert backup_alerts(render(BACKED_UP)) == {"OmsBackupOverdue"}
    assert backup_alerts(render(ON)) == set()
    assert backup_alerts(render({**BACKED_UP, "database.mode": "cnpg"})) == set()
    by_plugin = {"OmsDatabaseBackupOverdue", "OmsDatabaseNotArchived"}
    assert backup_alerts(render({**SCRAPED, "database.cnpg.backup": ARCHIVED})) == by_plugin
    assert backup_alerts(render({**SCRAPED, "database.cnpg.backup": SNAPSHOTS})) == {"OmsDatabaseBackupOverdue"}
    assert backup_alerts(render(SCRAPED)) == set()


def test_an_instance_is_scraped_by_the_name_of_its_cluster(render: Any) -> None:
    (endpoint,) = render(SCRAPED).of("PodMonitor")["oms-postgres"]["spec"]["podMetricsEndpoints"]
    (named,) = (one for one in endpoint["relabelings"] if one["targetLabel"] == "database")
    assert named["sourceLabels"] == ["__meta_kubernetes_pod_label_cnpg_io_cluster"]


def test_an_objective_names_a_bound_that_its_histogram_has() -> None:
    asked = json.loads((CHART / "values.schema.json").read_text())["properties"]["slo"]["properties"]
    registry = CollectorRegistry()
    for name, histogram in (
        ("placingLatency", Metrics(registry).http_requests.labels("POST", "/order", "202")),
        ("confirmation", OrderMetrics(registry).confirmation),
    ):
        assert set(asked[name]["properties"]["seconds"]["enum"]) <= set(histogram._upper_bounds)
