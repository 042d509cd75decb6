"""A real Prometheus scrapes the release, records its rules, and fires the alerts for their causes."""

import math
from collections.abc import Callable, Iterator, Mapping
from uuid import uuid4

import httpx2
import pytest
from support.chassis import eventually
from support.cluster import Cluster
from support.load import mix, post
from support.orders import body, ended
from support.orders import place as post_order
from support.prometheus import Prometheus, questions

from oms_contracts.topics import ORDER_CREATED, SERVICES

pytestmark = pytest.mark.cluster

SCRAPED = 180.0  # seconds until a change is visible, and a rate is known
FIRES, FALLS_SILENT = 480.0, 480.0  # seconds until an alert that waits for two minutes fires, and until it stops firing
OBJECTIVES = {"placing-availability", "placing-latency", "confirmation"}
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
# Queries of dashboards that may have no answer on a cluster, and why.
EMPTY: Mapping[str, str] = {
    "Kafka, outboxes and jobs: Volumes, share in use": "kind's volumes are folders, which the kubelet does not measure",
    "Services: Requests refused for who sent them": "nobody is refused where nobody is asked who they are",
}
PRODUCE = f"/opt/kafka/bin/kafka-console-producer.sh --bootstrap-server localhost:9092 --topic {ORDER_CREATED.name}"


@pytest.fixture
def busy(cluster: Cluster) -> None:
    """Place orders of all kinds while Prometheus scrapes."""
    outcome = post(cluster.url, mix(120), spread=60.0)
    cluster.verify(outcome.answers)


def test_every_service_of_the_release_is_scraped(prometheus: Prometheus) -> None:
    eventually(lambda: prometheus.services_up() == set(SERVICES), SCRAPED)


def test_every_rule_is_loaded_and_can_be_evaluated(cluster: Cluster, prometheus: Prometheus) -> None:
    groups = cluster.get("prometheusrule", "oms")["spec"]["groups"]
    wanted = sorted(rule.get("alert") or rule["record"] for group in groups for rule in group["rules"])
    assert len(wanted) > 30

    def healthy() -> bool:
        found = prometheus.rules()
        return sorted(one["name"] for one in found) == wanted and all(one["health"] == "ok" for one in found)

    eventually(healthy, SCRAPED)


def test_every_query_of_every_dashboard_has_an_answer(cluster: Cluster, prometheus: Prometheus, busy: None) -> None:
    asked = list(questions(cluster))
    assert len(asked) > 45

    def unanswered() -> set[str]:
        return {name for name, expression in asked if not prometheus.query(expression)}

    eventually(lambda: unanswered() <= set(EMPTY), SCRAPED)


def test_burn_rates_are_recorded_for_every_objective(prometheus: Prometheus, busy: None) -> None:
    for window in WINDOWS:
        expression = f'oms:slo_burn:rate{window}{{namespace="oms", release="oms"}}'

        def known() -> bool:
            found = {one["metric"]["slo"]: float(one["value"][1]) for one in prometheus.query(expression)}  # noqa: B023
            return found.keys() == OBJECTIVES and not any(map(math.isnan, found.values()))

        eventually(known, SCRAPED)


def test_a_service_that_was_scaled_to_zero_is_reported(cluster: Cluster, prometheus: Prometheus) -> None:
    try:
        cluster.kubectl("scale", "deployment/oms-email", "--replicas=0")
        prometheus.await_alert("OmsServiceDown", FIRES, service="email", severity="critical")
        assert {one["service"] for one in prometheus.firing() if one["alertname"] == "OmsServiceDown"} == {"email"}
    finally:
        cluster.kubectl("scale", "deployment/oms-email", "--replicas=1")
    prometheus.await_silence("OmsServiceDown", FALLS_SILENT, service="email")


def test_a_poisoned_record_becomes_a_dead_letter_with_an_alert(
    cluster: Cluster, prometheus: Prometheus, place: Callable[[], str]
) -> None:
    cluster.kubectl("exec", "-i", "oms-kafka-0", "--", "sh", "-c", PRODUCE, given=f"{uuid4()}\n")
    prometheus.await_alert("OmsDeadLetters", FIRES, service="payment", topic=ORDER_CREATED.name)
    place()  # the partition continues


@pytest.fixture
def without_kafka(cluster: Cluster) -> Iterator[None]:
    """Remove the broker during the block; it is back afterwards, or earlier."""
    cluster.kubectl("scale", "statefulset/oms-kafka", "--replicas=0")
    # The broker runs on for a while, and would still accept records that must wait.
    cluster.kubectl("wait", "--for=delete", "pod/oms-kafka-0", "--timeout=120s")
    yield
    cluster.kubectl("scale", "statefulset/oms-kafka", "--replicas=1")


def test_every_service_reports_that_kafka_is_away(
    cluster: Cluster, prometheus: Prometheus, without_kafka: None
) -> None:
    with httpx2.Client(base_url=cluster.url, timeout=20.0) as client:
        order_id = post_order(client, body())
        for service in SERVICES:
            prometheus.await_alert("OmsConsumerNotPolling", FIRES, service=service)
        prometheus.await_alert("OmsOutboxStuck", FIRES, service="order")
        cluster.kubectl("scale", "statefulset/oms-kafka", "--replicas=1")
        assert ended(client, order_id, within=180.0)["status"] == "CONFIRMED"
    prometheus.await_silence("OmsConsumerNotPolling", FALLS_SILENT)
