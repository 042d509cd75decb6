"""docs/failures.md is true: each failure can be requested, and the worker treats it as the table says."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import yaml
from prometheus_client import CollectorRegistry
from support.chassis import chassis_only, eventually
from support.gateways import token
from support.notices import RunningMailCatcher, running_mail_catcher

from oms_chassis.db import Database
from oms_chassis.jobs.breaker import LONGEST
from oms_chassis.jobs.calls import OUTCOMES, label
from oms_chassis.jobs.leases import BACKOFF_CAP
from oms_chassis.jobs.queue import Job
from oms_email.provider import SmtpProvider
from oms_email.settings import EmailSettings
from oms_gateway import charge_key
from oms_notifications.notice import Notice
from oms_payment.jobs import charging, refunding
from oms_servers.ports import free_port
from oms_simulators.failures import KINDS, NewFailure
from oms_simulators.payment.gateway import SimulatedGateway
from oms_simulators.payment.testcards import Outcome as Card
from oms_sms.provider import HttpSmsProvider
from oms_sms.settings import SmsSettings

ROOT = Path(__file__).parents[2]
DATABASE = "postgresql://unused"
NOTICE = Notice("o1", "confirmed", "ann@example.com", "Hello", "Your order")
TEXT = Notice("o1", "confirmed", "+94762222222", "Hello")


def table() -> list[tuple[str, str, str, str, str]]:
    """Return (target, kind, outcome, metric, alert) of each row of the table."""
    lines = re.findall(r"^\| (gateway|mail|sms) \| (.*) \|$", (ROOT / "docs" / "failures.md").read_text(), re.MULTILINE)
    cells = [(target, *rest.split(" | ")) for target, rest in lines]
    return [(target, kind, outcome, metric, alert) for target, kind, _, outcome, metric, alert in cells]


def of(target: str) -> list[tuple[str, str]]:
    return [(kind, outcome) for place, kind, outcome, _, _ in table() if place == target]


@pytest.fixture(scope="module")
def catcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMailCatcher]:
    with running_mail_catcher(tmp_path_factory.mktemp("catcher"), free_port(), free_port()) as running:
        yield running


def fail(catcher: RunningMailCatcher, target: str, kind: str) -> None:
    httpx2.delete(f"{catcher.url}/failures").raise_for_status()
    failure = {"target": target, "kind": kind, "times": 1, "seconds": 30.0 if kind == "drip" else 0.2}
    httpx2.put(f"{catcher.url}/failures", json=failure).raise_for_status()


def test_each_alert_of_the_table_looks_at_the_metric_that_moves() -> None:
    alerts = yaml.safe_load((ROOT / "charts" / "oms" / "files" / "alerts.yaml").read_text())
    looks_at = {alert["alert"]: str(alert.get("expr", alert.get("counter"))) for alert in alerts}
    assert not [(kind, metric, alert) for _, kind, _, metric, alert in table() if metric not in looks_at[alert]]


def test_the_table_names_every_failure() -> None:
    assert [(target, kind) for target, kind, *_ in table()] == [
        (target, kind) for target, kinds in KINDS.items() for kind in kinds
    ]


def test_the_metric_has_each_outcome_of_the_table() -> None:
    assert {outcome for _, _, outcome, _, _ in table()} <= {kind.__name__.lower() for kind in OUTCOMES}


def test_the_runbook_of_a_pause_says_how_long_one_may_last() -> None:
    page = (ROOT / "docs" / "runbooks" / "OmsJobQueuePaused.md").read_text()
    assert f"of {BACKOFF_CAP:g} s at most" in page
    assert LONGEST == 3600
    assert "an hour at most" in page


def test_each_alert_exists_and_has_its_runbook() -> None:
    alerts = set(re.findall(r"alert: (\w+)", (ROOT / "charts" / "oms" / "files" / "alerts.yaml").read_text()))
    named = {alert for *_, alert in table()}
    assert named <= alerts
    assert all((ROOT / "docs" / "runbooks" / f"{alert}.md").exists() for alert in named)


@pytest.mark.parametrize(("kind", "outcome"), of("mail"))
def test_failures_of_emails_have_the_outcomes_of_the_table(
    catcher: RunningMailCatcher, kind: str, outcome: str
) -> None:
    provider = SmtpProvider(
        EmailSettings(
            database_url=DATABASE,
            kafka_bootstrap="unused:1",
            smtp_host="127.0.0.1",
            smtp_port=catcher.smtp_port,
            email_from="Shop <shop@example.com>",
            smtp_mail_timeout=1.0,
        )
    )
    fail(catcher, "mail", kind)
    try:
        assert label(provider.send(NOTICE)) == outcome
        assert label(provider.send(NOTICE)) == "done"
    finally:
        provider.close()


@pytest.mark.parametrize(("kind", "outcome"), of("sms"))
def test_failures_of_sms_have_the_outcomes_of_the_table(catcher: RunningMailCatcher, kind: str, outcome: str) -> None:
    url = f"{catcher.url}/sms"
    provider = HttpSmsProvider(
        SmsSettings(
            database_url=DATABASE, kafka_bootstrap="unused:1", sms_url=url, sms_from="OMS", sms_call_seconds=1.0
        )
    )
    fail(catcher, "sms", kind)
    try:
        assert label(provider.send(TEXT)) == outcome
        assert label(provider.send(TEXT)) == "done"
    finally:
        provider.close()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = chassis_only(database_url)
    yield database
    database.dispose()


@pytest.mark.parametrize(("kind", "outcome"), of("gateway"))
def test_failures_of_payments_have_the_outcomes_of_the_table(
    database: Database, database_url: str, kind: str, outcome: str
) -> None:
    gateway = SimulatedGateway(database_url)
    order = {"orderId": "o1", "token": token(Card.APPROVED), "total": 100, "currency": "USD"}
    charge = Job("charge", charge_key("o1"), "o1", order, None, 1)
    queue = charging.job_queue(gateway, 1, 1800.0, CollectorRegistry())
    try:
        if kind.startswith("refund-"):
            assert label(queue.call(charge)) == "done"
            made = gateway.find(charge_key("o1"))
            assert made is not None
            refund = {**order, "chargeId": made.id}
            charge = Job("refund", "o1:refund", "o1", refund, None, 1)
            queue = refunding.job_queue(gateway)
        gateway.failures.set(NewFailure(target="gateway", kind=kind, times=1, seconds=0.2))
        assert outcome_of(queue.call, charge) == outcome
        eventually(lambda: outcome_of(queue.call, charge) == "done")
    finally:
        gateway.close()


def outcome_of(call: object, job: Job) -> str:
    """Return the outcome as the worker sees it: any exception is a reason to retry."""
    try:
        return label(call(job))  # type: ignore[operator]
    except Exception:  # noqa: BLE001 - as the worker
        return "retry"


def test_a_failure_applies_to_one_recipient_and_a_number_of_calls(catcher: RunningMailCatcher) -> None:
    httpx2.delete(f"{catcher.url}/failures")
    failure = {"target": "sms", "kind": "500", "to": TEXT.to, "times": 2}
    (on,) = httpx2.put(f"{catcher.url}/failures", json=failure).json()
    assert (on["kind"], on["to"], on["times"]) == ("500", TEXT.to, 2)
    text = {"from": "OMS", "text": "Hello", "reference": "o1"}

    def post(to: str, key: str) -> int:
        headers = {"Idempotency-Key": key}
        return httpx2.post(f"{catcher.url}/sms", json={**text, "to": to}, headers=headers).status_code

    assert [post("+9477", "a"), post(TEXT.to, "b"), post(TEXT.to, "b"), post(TEXT.to, "b")] == [201, 500, 500, 201]
    assert httpx2.put(f"{catcher.url}/failures", json={"target": "sms", "kind": "greylist"}).status_code == 422
