"""How the service is put together."""

from importlib.metadata import EntryPoints

import pytest
from prometheus_client import CollectorRegistry

from oms_chassis.db import Database
from oms_chassis.runtime.cli import main
from oms_chassis.runtime.service import Context
from oms_gateway import providers
from oms_payment.main import SERVICE, build
from oms_payment.settings import PaymentSettings

NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"


def context() -> Context:
    settings = PaymentSettings(database_url=NOWHERE, kafka_bootstrap="127.0.0.1:1")
    return Context(settings, Database(NOWHERE), CollectorRegistry())


def test_the_service_reads_what_the_catalogue_says_and_has_no_public_routes() -> None:
    parts = build(context())
    assert {one.topic.name for one in parts.subscriptions} == {
        "orderCreatedEvent",
        "inventoryRejectedEvent",
        "orderCancelledEvent",
        "orderRefundRequestedEvent",
    }
    assert all("payment" in one.topic.read_by for one in parts.subscriptions)
    assert [job_queue.name for job_queue in parts.job_queues] == ["charge", "refund", "requested-refund"]
    assert not parts.routers


def test_a_gateway_that_is_not_installed_is_said_to_whoever_starts_the_service(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"DATABASE_URL": NOWHERE, "KAFKA_BOOTSTRAP": "127.0.0.1:1", "GATEWAY": "strype"}
    for name, value in settings.items():
        monkeypatch.setenv(f"OMS_{name}", value)
    assert main(SERVICE, ["serve"]) == 2
    assert "OMS_GATEWAY: is not installed here; installed: simulator" in capsys.readouterr().err


def test_what_needs_no_gateway_asks_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image without a provider can migrate a database nevertheless."""
    monkeypatch.setattr(providers, "entry_points", lambda group: EntryPoints().select(group=group))
    assert PaymentSettings(database_url=NOWHERE, kafka_bootstrap="127.0.0.1:1").gateway == "simulator"
    with pytest.raises(ValueError, match="is not installed here; installed: none"):
        build(context())


def test_the_command_line_says_what_it_can_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(SERVICE, ["--help"])
    assert "migrate" in capsys.readouterr().out
