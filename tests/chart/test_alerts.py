"""The alerts in Prometheus' own rule engine: each fires for its cause, and none fires while all is well."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.promtool import Labels, Rules, Series, series

from oms_contracts.topics import SERVICES

pytestmark = pytest.mark.timeout(2000)  # promtool may have to be built first

CHART = Path(__file__).parents[2] / "charts" / "oms"
ON = {"serviceMonitor.enabled": True, "prometheusRule.enabled": True}
NONE, ONE, GROWING = "0x100", "1x100", "0+30x100"  # a sample every 30 seconds, for 50 minutes
HAPPENED = "0x60 1x40"  # ten minutes before the evaluation
NEW = {
    "grows": HAPPENED,
    "begins above zero": "_x60 1x40",
    "grew while nobody looked": "0x10 _x59 1x30",
}
OLD = {
    "grew half an hour ago": "0x10 1x90",
    "grew before scrapes that failed": "0x10 1x37 stale stale stale 1x48",
    "grew before nobody looked for half an hour": "0x5 1x5 _x58 1x30",
}
NEVER: None = None  # the series is absent


def of_pod(service: str, number: int = 0, **labels: str) -> dict[str, str]:
    return {"service": service, "pod": f"oms-{service}-{number}", **labels}


def healthy_pod(service: str, number: int) -> dict[str, str]:
    """Return what a pod reports when all is well; the first leads the relay, the second is on standby."""
    this = of_pod(service, number)
    return {
        series("up", **this): ONE,
        series("oms_consumer_running", **this): ONE,
        series("oms_consumer_last_poll_timestamp_seconds", **this): GROWING,
        series("oms_consumer_lag", **this, topic="t", partition="0"): "3x100",
        series("oms_outbox_oldest_seconds", **this): "0.1x100",
        series("oms_outbox_quarantined_total", **this, topic="t"): NONE,
        series("oms_relay_leader", **this): ONE if number == 0 else NONE,
        series("oms_jobs_oldest_seconds", **this, queue="q"): "2x100",
        series("oms_job_calls_total", **this, queue="q", outcome="done"): GROWING,
        series("oms_job_calls_total", **this, queue="q", outcome="retry"): "0+1x100",
        series("oms_job_calls_total", **this, queue="q", outcome="waiting"): GROWING,
        series("oms_dead_letters_total", **this, topic="t"): NONE,
        series("oms_consumer_gaps_total", **this, topic="t"): NONE,
        series("oms_consumer_paused", **this): NONE,
        series("oms_consumer_damaged_partitions", **this): NONE,
        series("oms_consumer_refused_topics", **this): NONE,
        series("oms_thread_last_progress_timestamp_seconds", **this, thread="relay"): GROWING,
        series("oms_task_failures_total", **this, task="prune-inbox"): "0x40 1x60",
        series("oms_task_failures_in_a_row", **this, task="prune-inbox"): "0x40 1x60",
        series("oms_job_queue_paused", **this, queue="q"): NONE,
        series("oms_jobs_dead", **this, queue="q"): "2x300",
        series("oms_job_call_oldest_seconds", **this, queue="q"): "600x100",
        series("oms_job_settle_failures_total", **this, queue="q"): NONE,
        series("oms_database_connections", **this, pool="shared"): "3x100",
        series("oms_database_connections_in_use", **this, pool="shared"): "2x100",
        series("oms_database_connections", **this, pool="relay"): ONE,
        series("oms_database_connections_in_use", **this, pool="relay"): ONE,
        series("oms_database_oldest_snapshot_transactions", **this): "100x100",
        series("oms_database_up", **this): "1x10 0x2 1x88",  # one scrape at a bad moment
    }


def posted(status: str, le: str | None = None) -> str:
    """Return the series of POSTs to /order with this status, or of those answered within `le` seconds."""
    labels = {**of_pod("order"), "method": "POST", "route": "/order", "status": status}
    return series(f"oms_http_request_seconds_{'bucket' if le else 'count'}", **labels, **({"le": le} if le else {}))


def confirmed(le: str | None = None) -> str:
    """Return the series of confirmed orders, or of those confirmed within `le` seconds."""
    labels = {**of_pod("order"), **({"le": le} if le else {})}
    return series(f"oms_order_confirmation_seconds_{'bucket' if le else 'count'}", **labels)


def healthy() -> dict[str, str]:
    """Return the series of an installation where all is well."""
    found: dict[str, str] = {}
    for service in SERVICES:
        found |= healthy_pod(service, 0) | healthy_pod(service, 1)
    order, sms = of_pod("order"), of_pod("sms")
    found |= {
        series("oms_orders_stuck", **order, step="payment"): NONE,
        series("oms_refunds_stuck", **order): NONE,
        series("oms_refunds_total", **order, status="PENDING"): GROWING,
        series("oms_refunds_total", **order, status="FAILED"): NONE,
        series("oms_orders_waiting", **order): "200x100",
        series("oms_catalogue_age_seconds", **order): "10x100",
        series("oms_payment_charge_mismatches_total", **of_pod("payment")): NONE,
        series("oms_payment_compensations_failed_total", **of_pod("payment")): NONE,
        series("oms_payment_refunded_twice_total", **of_pod("payment")): NONE,
        series("oms_payment_disputes_total", **of_pod("payment")): NONE,
        series("oms_orders_contradictions_total", **order, fact="paid"): NONE,
        series("oms_unknown_order_events_total", **order, fact="paid"): NONE,
        series("oms_messages_total", **sms, channel="sms", kind="confirmed", state="sent"): GROWING,
        series("oms_messages_total", **sms, channel="sms", kind="confirmed", state="failed"): NONE,
        **{posted(status="202", le=le): GROWING for le in (None, "0.1", "0.5", "+Inf")},
        **{confirmed(le): GROWING for le in (None, "10.0", "+Inf")},
    }
    for claim in CLAIMS:
        found |= {volume("available", claim): "50x100", volume("capacity", claim): "100x100"}
    return found


CLAIMS = (
    "data-oms-order-postgres-0",  # embedded
    "data-oms-kafka-0",  # the same
    "data-0-oms-kafka-dual-role-0",  # Strimzi
    "oms-order-postgres-1",  # CloudNativePG
    "oms-order-postgres-1-wal",  # the same
    "oms-backup",  # of embedded databases
)
OTHERS = ("data-oms-b-order-postgres-0", "oms-b-order-postgres-1", "data-oms-b-kafka-0", "data-other-0", "oms-b-backup")


def volume(what: str, claim: str) -> str:
    """Return a series of the kubelet, whose metrics have no label of the release."""
    return f'kubelet_volume_stats_{what}_bytes{{namespace="shop",persistentvolumeclaim="{claim}"}}'


def without(*services: str) -> Series:
    """Return the changes by which there are no series of these services."""
    return {one: NEVER for one in healthy() if any(f'service="{service}"' in one for service in services)}


class Case(NamedTuple):
    """The differences from a healthy installation, and the alerts that must fire, by their names and own labels."""

    what: str
    different: Series
    fires: Iterable[tuple[str, Labels]]

    def spends_budget(self) -> bool:
        """Whether the case changes a series from which error budgets are computed."""
        return any(one.startswith(BUDGETED) for one in self.different)


class Counted(NamedTuple):
    """A counter that never grows while all is well, its alert, and those of its labels that the alert has."""

    metric: str
    alert: str
    by: str
    labels: Labels

    def fires(self) -> tuple[str, Labels]:
        return self.alert, {key: self.labels[key] for key in self.by.split()}


COUNTED = [
    Counted("oms_dead_letters_total", "OmsDeadLetters", "service topic", of_pod("sms", topic="t")),
    Counted("oms_consumer_gaps_total", "OmsRecordsGone", "service topic", of_pod("sms", topic="t")),
    Counted("oms_outbox_quarantined_total", "OmsEventsQuarantined", "service topic", of_pod("order", topic="t")),
    Counted("oms_job_settle_failures_total", "OmsJobsNotSettled", "service queue", of_pod("sms", queue="q")),
    Counted("oms_payment_refunded_twice_total", "OmsRefundedTwice", "service", of_pod("payment")),
    Counted("oms_payment_disputes_total", "OmsChargeDisputed", "service", of_pod("payment")),
    Counted("oms_payment_compensations_failed_total", "OmsCompensationFailed", "service", of_pod("payment")),
    Counted("oms_payment_charge_mismatches_total", "OmsChargeMismatch", "service", of_pod("payment")),
    Counted("oms_refunds_total", "OmsRefundsFailed", "service", of_pod("order", status="FAILED")),
    Counted("oms_orders_contradictions_total", "OmsOrdersContradicted", "fact", of_pod("order", fact="paid")),
    Counted("oms_unknown_order_events_total", "OmsUnknownOrders", "fact", of_pod("order", fact="paid")),
    Counted(
        "oms_messages_total",
        "OmsMessagesFailed",
        "service channel kind",
        of_pod("sms", channel="sms", kind="confirmed", state="failed"),
    ),
]


def happened() -> Iterable[Case]:
    """Yield cases: one counter grows and its alert fires; all have just grown, are first seen now, or grew long ago."""
    for one in COUNTED:
        yield Case(f"{one.metric} grows", {series(one.metric, **one.labels): HAPPENED}, [one.fires()])
    for how, values in {**NEW, **OLD}.items():
        different = {series(one.metric, **one.labels): values for one in COUNTED}
        yield Case(f"everything {how}", different, [one.fires() for one in COUNTED] if how in NEW else [])


BUDGETED = ("oms_http_request_seconds_", "oms_order_confirmation_seconds_")
BUDGETS = {"OmsSloBurningFast", "OmsSloBurningSlowly"}


def burning(slo: str) -> list[tuple[str, Labels]]:
    """Return both alerts, which fire for so many errors at once."""
    return [(alert, {"slo": slo}) for alert in sorted(BUDGETS)]


CASES = [
    Case("all is well", {}, []),
    Case("a service has no pods", without("email"), [("OmsServiceDown", {"service": "email"})]),
    Case(
        "nothing is scraped",
        without(*SERVICES),
        [("OmsServiceDown", {"service": service}) for service in SERVICES],
    ),
    Case(
        "one of two pods does not answer",
        {series("up", **of_pod("order", 1)): NONE},
        [("OmsPodDown", of_pod("order", 1))],
    ),
    Case(
        "no pod of a service answers",
        {series("up", **of_pod("sms", number)): NONE for number in (0, 1)},
        [("OmsServiceDown", {"service": "sms"}), *(("OmsPodDown", of_pod("sms", number)) for number in (0, 1))],
    ),
    Case(
        "orders are held",
        {series("oms_orders_stuck", **of_pod("order"), step="payment"): "2x100"},
        [("OmsOrdersStuck", {"step": "payment"})],
    ),
    Case(
        "refunds wait",
        {series("oms_refunds_stuck", **of_pod("order", number)): "2x100" for number in (0, 1)},
        [("OmsRefundsStuck", {"service": "order"})],
    ),
    Case(
        "a consumer group has no member with partitions",
        {series("oms_consumer_running", **of_pod("payment", number)): NONE for number in (0, 1)},
        [("OmsConsumerStopped", {"service": "payment"})],
    ),
    Case(
        "the broker is away",
        {
            series("oms_consumer_last_poll_timestamp_seconds", **of_pod(service, number)): "0+30x60 1800x40"
            for service in SERVICES
            for number in (0, 1)
        },
        [("OmsConsumerNotPolling", of_pod(service, number)) for service in SERVICES for number in (0, 1)],
    ),
    Case(
        "one pod hangs",
        {series("oms_consumer_last_poll_timestamp_seconds", **of_pod("inventory", 1)): "0+30x60 1800x40"},
        [("OmsConsumerNotPolling", of_pod("inventory", 1))],
    ),
    Case(
        "a consumer has never polled",
        {series("oms_consumer_last_poll_timestamp_seconds", **of_pod("order", 0)): NONE},
        [("OmsConsumerNotPolling", of_pod("order", 0))],
    ),
    Case(
        "a consumer falls back",
        {series("oms_consumer_lag", **of_pod("sms"), topic="t", partition="0"): "6000+100x100"},
        [("OmsConsumerLagging", {"service": "sms", "topic": "t"})],
    ),
    Case(
        "a consumer is paused",
        {series("oms_consumer_paused", **of_pod("payment", 1)): ONE},
        [("OmsConsumerPaused", {"service": "payment"})],
    ),
    Case(
        "a batch is damaged",
        {series("oms_consumer_damaged_partitions", **of_pod("payment", 1)): ONE},
        [("OmsBatchDamaged", {"service": "payment"})],
    ),
    Case(
        "a topic is not the service's to read",
        {series("oms_consumer_refused_topics", **of_pod("payment", 1)): ONE},
        [("OmsTopicRefused", {"service": "payment"})],
    ),
    Case(
        "a thread hangs",
        {series("oms_thread_last_progress_timestamp_seconds", **of_pod("sms", 1), thread="relay"): "0+30x60 1800x40"},
        [("OmsThreadStalled", of_pod("sms", 1, thread="relay"))],
    ),
    Case(
        "a task fails again and again",
        {series("oms_task_failures_total", **of_pod("order", 1), task="catalogue"): "0x40 0+1x60"},
        [("OmsTasksFailing", {"service": "order", "task": "catalogue"})],
    ),
    Case(
        "a task that is called every five minutes fails each time",
        {series("oms_task_failures_in_a_row", **of_pod("payment"), task="disputes"): "0x10 1x10 2x10 3x60"},
        [("OmsTasksFailing", {"service": "payment", "task": "disputes"})],
    ),
    Case(
        "a provider is at fault",
        {series("oms_job_queue_paused", **of_pod("email"), queue="q"): ONE},
        [("OmsJobQueuePaused", {"service": "email", "queue": "q"})],
    ),
    Case(
        "calls are given up",
        {series("oms_jobs_dead", **of_pod("email", number), queue="q"): "2x60 3x240" for number in (0, 1)},
        [("OmsJobsDead", {"service": "email", "queue": "q"})],
    ),
    Case(
        "calls are given up where none were before",
        {series("oms_jobs_dead", **of_pod("sms"), queue="new"): "_x60 1x240"},
        [("OmsJobsDead", {"service": "sms", "queue": "new"})],
    ),
    Case(
        "calls were given up before the database was away for a moment",
        {series("oms_jobs_dead", **of_pod("email", number), queue="q"): "2x30 _x10 2x260" for number in (0, 1)},
        [],
    ),
    Case(
        "a call hangs",
        {series("oms_job_call_oldest_seconds", **of_pod("payment"), queue="q"): "0+30x100"},
        [("OmsJobCallHanging", {"service": "payment", "queue": "q"})],
    ),
    Case(
        "prices are old",
        {series("oms_catalogue_age_seconds", **of_pod("order")): "0+30x100"},
        [("OmsCatalogueStale", {"pod": "oms-order-0"})],
    ),
    Case(
        "orders wait to be written",
        {series("oms_orders_waiting", **of_pod("order")): "300x100"},
        [("OmsOrdersQueued", {"pod": "oms-order-0"})],
    ),
    Case(
        "all connections of a pool are in use",
        {series("oms_database_connections_in_use", **of_pod("order"), pool="shared"): "3x100"},
        [("OmsDatabasePoolExhausted", of_pod("order", pool="shared"))],
    ),
    Case(
        "a pod does not reach its database",
        {series("oms_database_up", **of_pod("payment", 1)): NONE},
        [("OmsDatabaseAway", of_pod("payment", 1))],
    ),
    Case(
        "somebody reads for a long time",
        {series("oms_database_oldest_snapshot_transactions", **of_pod("inventory")): "0+9000x100"},
        [("OmsOldSnapshot", {"service": "inventory"})],
    ),
    Case(
        "events wait in the outbox",
        {series("oms_outbox_oldest_seconds", **of_pod("payment")): "0+1x100"},
        [("OmsOutboxStuck", {"service": "payment"})],
    ),
    Case(
        "no relay leads",
        {series("oms_relay_leader", **of_pod("order")): NONE},
        [("OmsRelayWithoutLeader", {"service": "order"})],
    ),
    Case(
        "a call is overdue",
        {series("oms_jobs_oldest_seconds", **of_pod("payment"), queue="q"): "900x100"},
        [("OmsJobsDelayed", {"service": "payment", "queue": "q"})],
    ),
    Case(
        "calls fail",
        {series("oms_job_calls_total", **of_pod("email"), queue="q", outcome="retry"): "0+90x100"},
        [("OmsJobCallsFailing", {"service": "email", "queue": "q"})],
    ),
    Case(
        "answers are 5xx",
        {posted(status="500"): "0+2x100"},
        [("OmsHttpErrors", {"service": "order"}), *burning("placing-availability")],
    ),
    Case(
        "answers are slow",
        {posted("202", "0.1"): NONE, posted("202", "0.5"): NONE, posted("202", "1.0"): GROWING},
        [("OmsHttpSlow", {"service": "order"}), *burning("placing-latency")],
    ),
    Case("orders are confirmed late", {confirmed("10.0"): "0+20x100"}, burning("confirmation")),
    *(
        Case(
            f"the volume {claim} is full",
            {volume("available", claim): "5x100"},
            [("OmsVolumeFilling", {"persistentvolumeclaim": claim})],
        )
        for claim in CLAIMS
    ),
    *happened(),
]


def elsewhere(place: Labels) -> Series:
    """Return the series of another installation, where nearly everything is wrong."""
    order = {**of_pod("order"), **place}
    return {
        series("oms_orders_stuck", **order, step="payment"): "9x100",
        series("oms_consumer_running", **order): NONE,
        series("oms_consumer_last_poll_timestamp_seconds", **order): NONE,
        series("oms_outbox_oldest_seconds", **order): "900x100",
        series("oms_relay_leader", **order): NONE,
        series("oms_dead_letters_total", **order, topic="t"): HAPPENED,
        series("up", **order): NONE,
    }


def test_prometheus_accepts_the_rules_and_their_texts(render: Any, rules: Callable[[Any], Rules]) -> None:
    loaded = rules(render(ON))
    done = loaded.run("check", "rules", str(loaded.file))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_the_alerts_fire_for_their_causes(render: Any, rules: Callable[..., Rules], case: Case) -> None:
    every = rules(render(ON))
    if case.what != "all is well" and not case.spends_budget():
        # The budgets are then as while all is well, and computing them would be half of the work.
        every = rules(render(ON), *({one["alert"] for one in every.alerts} - BUDGETS))
    every.fire({**healthy(), **case.different}, case.fires)


def test_volumes_of_others_in_the_namespace_are_ignored(render: Any, rules: Callable[[Any], Rules]) -> None:
    full = {volume("available", one): "1x100" for one in OTHERS} | {
        volume("capacity", one): "100x100" for one in OTHERS
    }
    rules(render(ON)).fire({**healthy(), **full}, [])


def test_volumes_of_a_kafka_cluster_with_another_name_are_watched(render: Any, rules: Callable[[Any], Rules]) -> None:
    claim = "data-0-events-dual-role-2"
    full = {volume("available", claim): "1x100", volume("capacity", claim): "100x100"}
    named = render({**ON, "kafka.strimzi.clusterName": "events"})
    rules(named).fire({**healthy(), **full}, [("OmsVolumeFilling", {"persistentvolumeclaim": claim})])


OPERATED = {**ON, "database.mode": "cnpg", "kafka.strimzi.metrics": True}
BROKER = {"namespace": "shop", "release": "oms", "pod": "oms-kafka-broker-0"}
STANDBY = {"namespace": "shop", "release": "oms", "pod": "oms-order-postgres-2"}


@pytest.mark.parametrize(
    ("alert", "measured", "labels", "bad"),
    [
        ("OmsKafkaUnderReplicated", "kafka_server_replicamanager_underreplicatedpartitions", BROKER, "2x300"),
        ("OmsKafkaPartitionsOffline", "kafka_controller_kafkacontroller_offlinepartitionscount", BROKER, "1x300"),
        ("OmsDatabaseReplicaLagging", "cnpg_pg_replication_lag", STANDBY, "400x300"),
    ],
)
def test_metrics_of_operators_are_watched(
    render: Any, rules: Callable[[Any], Rules], alert: str, measured: str, labels: Labels, bad: str
) -> None:
    operated = rules(render(OPERATED))
    own = {} if "Offline" in alert else {"pod": labels["pod"]}
    operated.fire({**healthy(), series(measured, **labels): bad}, [(alert, own)])
    operated.fire({**healthy(), series(measured, **labels): "0x300"}, [])
    operated.fire({**healthy(), series(measured, **{**labels, "release": "other"}): bad}, [])


DEAD_JOBS = [
    ("the database was away for half an hour", {0: "2x60 _x60 2x200"}, []),
    (
        "calls were given up while it was away",
        {0: "2x60 _x60 3x200"},
        [("OmsJobsDead", {"service": "sms", "queue": "q"})],
    ),
    (
        "calls were given up after a pod was replaced that had seen more of them",
        {0: "5x80 stale", 1: "_x82 2x37 3x200"},
        [("OmsJobsDead", {"service": "sms", "queue": "q"})],
    ),
]


@pytest.mark.parametrize(("what", "given", "fires"), DEAD_JOBS, ids=[what for what, *_ in DEAD_JOBS])
def test_calls_given_up_on_now_are_distinguished_from_earlier_ones(
    render: Any,
    rules: Callable[..., Rules],
    what: str,
    given: dict[int, str],
    fires: list[tuple[str, Labels]],
) -> None:
    known = {series("oms_jobs_dead", **of_pod("sms", pod), queue="q"): values for pod, values in given.items()}
    rules(render(ON), "OmsJobsDead").fire(known, fires, asked="80m")


def test_every_alert_has_a_case(render: Any) -> None:
    (alerts, *_) = render(ON).of("PrometheusRule")["oms"]["spec"]["groups"]
    names = {one["alert"] for one in alerts["rules"]}
    assert names == {alert for case in CASES for alert, _ in case.fires}


def test_a_sixth_service_that_is_down_fires_an_alert_too(render: Any, rules: Callable[[Any], Rules]) -> None:
    sixth = rules(render(ON, CHART / "ci" / "sixth-values.yaml"))
    sixth.fire(healthy(), [("OmsServiceDown", {"service": "loyalty-points"})])
    sixth.fire(healthy() | {series("up", **of_pod("loyalty-points")): ONE}, [])


def test_a_service_with_zero_replicas_fires_no_alert(render: Any, rules: Callable[[Any], Rules]) -> None:
    rules(render({**ON, "services.email.replicas": 0})).fire({**healthy(), **without("email")}, [])


@pytest.mark.parametrize("place", [{"namespace": "staging", "release": "oms"}, {"namespace": "shop", "release": "b"}])
def test_another_installation_is_not_watched(render: Any, rules: Callable[[Any], Rules], place: Labels) -> None:
    rules(render(ON)).fire({**healthy(), **elsewhere(place)}, [])
