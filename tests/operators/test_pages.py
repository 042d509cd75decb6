"""`oms doctor` refers to the same page as the alert about the same problem."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from oms_cli import diagnosis

ROOT = Path(__file__).parents[2]
WELL: dict[str, Any] = {"consumerPaused": False, "consumerRunning": True, "batchDamaged": False, "pausedQueues": []}
ORDER: dict[str, Any] = {"id": "7", "status": "PENDING", "step": "payment", "updatedAt": "2026-11-27T12:00:00Z"}


def page(metric: str) -> str:
    """Return the page of the alert that queries this metric first."""
    alerts = yaml.safe_load((ROOT / "charts" / "oms" / "files" / "alerts.yaml").read_text())
    name = next(one["alert"] for one in alerts if metric in one.get("expr", ""))
    assert (ROOT / "docs" / "runbooks" / f"{name}.md").exists()
    return f"docs/runbooks/{name}.md"


@pytest.mark.parametrize(
    ("condition", "metric"),
    [
        ({"consumerPaused": True}, "oms_consumer_paused"),
        ({"consumerRunning": False}, "oms_consumer_running"),
        ({"batchDamaged": True}, "oms_consumer_damaged_partitions"),
        ({"topicRefused": True}, "oms_consumer_refused_topics"),
        ({"pausedQueues": ["charge"]}, "oms_job_queue_paused"),
    ],
)
def test_a_problem_of_a_service_has_the_page_of_its_alert(condition: dict[str, Any], metric: str) -> None:
    (found,) = diagnosis.of_service("payment", {**WELL, **condition})
    assert page(metric) in found.command


@pytest.mark.parametrize(
    ("condition", "metric"),
    [
        ({"consumerPaused": True}, "oms_consumer_paused"),
        ({"consumerRunning": False}, "oms_consumer_running"),
        ({"batchDamaged": True}, "oms_consumer_damaged_partitions"),
        ({"topicRefused": True}, "oms_consumer_refused_topics"),
    ],
)
def test_an_order_that_waits_for_it_has_the_same_page(condition: dict[str, Any], metric: str) -> None:
    facts = diagnosis.Facts({"payment": {**WELL, **condition}}, {})
    assert page(metric) in diagnosis.of_order(ORDER, facts).command


@pytest.mark.parametrize(
    ("unread", "metric"), [({"orderCreatedEvent": 3}, "oms_consumer_lag"), (None, "oms_consumer_last_poll")]
)
def test_no_order_is_given_up_on_while_another_replica_may_have_its_event(
    unread: dict[str, int] | None, metric: str
) -> None:
    """The reported state is that of one replica; the partition may belong to another, whose consumer is paused."""
    evidence: dict[str, Any] = {service: {"unread": {}} for service in diagnosis.FLOW} | {"payment": {"unread": unread}}
    found = diagnosis.of_order(ORDER, diagnosis.Facts({"payment": WELL}, evidence))
    assert page(metric) in found.command
    assert "cancel" not in found.command
    read = diagnosis.Facts({"payment": WELL}, {**evidence, "payment": {"unread": {}}})
    assert "must be lost" in diagnosis.of_order(ORDER, read).evidence
