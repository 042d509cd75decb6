"""What the services measure: somebody sees it, and what is counted begins at zero."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from oms_chassis.runtime.drain import LastResort
from oms_chassis.runtime.process import Process
from oms_contracts.topics import SERVICES, emitted_by, read_by
from oms_notifications.jobs import STATES
from oms_notifications.messages import Kind
from oms_order.domain import Fact, Status

CHART = Path(__file__).parents[2] / "charts" / "oms"
SHOWN = "".join(path.read_text() for path in [*CHART.glob("dashboards/*.json"), CHART / "files" / "alerts.yaml"])
# Metrics that no dashboard shows and no alert asks for, and why.
UNSEEN: Mapping[str, str] = {}
QUEUES = {"payment": {"charge", "refund"}, "sms": {"sms"}, "email": {"email"}}


@pytest.fixture(scope="module")
def registries(render: Any) -> Iterator[dict[str, CollectorRegistry]]:
    """What each service measures before anything has happened."""
    made = {
        service: Process(import_module(f"oms_{service}.main").SERVICE, render().settings(service), LastResort())
        for service in SERVICES
    }
    yield {service: process._metrics.registry for service, process in made.items()}
    for process in made.values():
        for _, close in process._closings():
            close()


def counted(registry: CollectorRegistry) -> dict[str, set[tuple[str, ...]]]:
    """The values of the labels of each counter, in the order of the labels' names."""
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


@pytest.mark.parametrize("service", SERVICES)
def test_every_counter_is_there_from_the_start_for_all_that_is_known_beforehand(
    registries: dict[str, CollectorRegistry], service: str
) -> None:
    read, emitted = set(read_by(service)), set(emitted_by(service))
    queues = QUEUES.get(service, set())
    expected = {
        "oms_consumer_events": {(o, t) for o in ("applied", "duplicate", "dead") for t in read},
        "oms_dead_letters": {(topic,) for topic in read},
        "oms_relay_events": {(topic,) for topic in emitted},
        "oms_outbox_quarantined": {(topic,) for topic in emitted},
        "oms_job_calls": {(outcome, queue) for outcome in ("done", "paused", "retry") for queue in queues},
        "oms_spans": {("sent",), ("failed",)},
        "oms_job_settle_failures": {(queue,) for queue in queues},
        "oms_http_refusals": set(),  # those of the gate, which is there once requests are served
    }
    if service == "order":
        expected["oms_orders"] = {(status,) for status in Status}
        expected["oms_orders_contradictions"] = expected["oms_unknown_order_events"] = {(fact,) for fact in Fact}
    if service == "payment":
        expected["oms_payment_charge_mismatches"] = {()}
    if service in {"sms", "email"}:
        expected["oms_messages"] = {(service, kind, state) for kind in Kind for state in STATES}
    found = counted(registries[service])
    tasks = found.pop("oms_task_failures")
    assert found == expected
    assert ("prune-inbox",) in tasks
