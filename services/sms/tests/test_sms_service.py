"""The SMS Service's parts together: from an order's end to the customer's phone."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr, ValidationError
from support import chassis as testing
from support.notices import CUSTOMER, confirmed, declined, out_of_stock, running_mail_catcher

from oms_chassis.runtime.service import Context
from oms_servers.testing import free_port
from oms_sms.main import SERVICE
from oms_sms.settings import SmsSettings


def test_each_order_that_ends_is_notified_once(database_url: str, tmp_path: Path) -> None:
    database = testing.migrated(database_url, SERVICE.package)
    no_region = CUSTOMER.model_copy(update={"phone_e164": None})
    with running_mail_catcher(tmp_path, free_port(), free_port()) as catcher:
        settings = SmsSettings(
            database_url=database_url, kafka_bootstrap="unused:1", sms_url=f"{catcher.url}/sms", sms_from="OMS"
        )
        parts = SERVICE.build(Context(settings, database, CollectorRegistry()))
        handlers = {one.topic.name: one.handle for one in parts.subscriptions}
        for event in (confirmed("a"), declined("b", customer=no_region), out_of_stock("c"), declined("a")):
            testing.deliver(database, handlers[event.type], [event])
        testing.process_due_jobs(database, parts.job_queues[0])
        for stop in parts.on_stop:
            stop()
        found = {one["orderId"]: one for one in catcher.messages(kind="sms")}
    assert {order_id: one["to"] for order_id, one in found.items()} == {"a": "+94762222222", "c": "+94762222222"}
    assert "is confirmed" in found["a"]["text"]
    states = {row.order_id: (row.state, row.reason) for row in database.execute("SELECT * FROM message")}
    nobody = ("failed", "no number that a text can be sent to")
    assert states == {"a": ("sent", None), "b": nobody, "c": ("sent", None)}
    database.dispose()


def with_token(url: str) -> SmsSettings:
    return SmsSettings(
        database_url="postgresql://x", kafka_bootstrap="x:1", sms_url=url, sms_from="OMS", sms_token=SecretStr("secret")
    )


def test_a_token_that_would_go_out_unencrypted_is_refused_at_the_start() -> None:
    with pytest.raises(ValidationError, match="https") as refusal:
        with_token("http://sms.example.com/v1")
    assert "secret" not in str(refusal.value)
    for url in ("https://sms.example.com/v1", "http://127.0.0.1:8025/sms", "http://[::1]:8025/sms"):
        assert with_token(url).sms_url == url
