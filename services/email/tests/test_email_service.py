"""The Email Service's parts together: from an order's end to the customer's mailbox."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from oms_chassis import testing
from oms_chassis.service import Context
from oms_email.main import SERVICE
from oms_email.settings import EmailSettings
from oms_notifications.testing import confirmed, declined, out_of_stock, running_mail_catcher
from oms_servers.testing import free_port


def settings(url: str, port: int = 25, sender: str = "shop@example.com") -> EmailSettings:
    return EmailSettings(
        database_url=url, kafka_bootstrap="unused:1", smtp_host="127.0.0.1", smtp_port=port, email_from=sender
    )


def test_each_order_that_ends_is_told_of_once(database_url: str, tmp_path: Path) -> None:
    database = testing.migrated(database_url, SERVICE.package)
    with running_mail_catcher(tmp_path, free_port(), free_port()) as catcher:
        parts = SERVICE.build(Context(settings(database_url, catcher.smtp_port), database, CollectorRegistry()))
        handlers = {one.topic.name: one.handle for one in parts.subscriptions}
        for event in (confirmed("a"), declined("b"), out_of_stock("c"), declined("a"), confirmed("b")):
            testing.apply(database, handlers[event.type], [event])
        testing.work_off(database, parts.workers[0])
        for stop in parts.on_stop:
            stop()
        assert {one["orderId"]: one["subject"] for one in catcher.messages()} == {
            "a": "Your order is confirmed",
            "b": "Your order could not be paid",
            "c": "Your order is out of stock",
        }
        assert catcher.counts()["emailDeliveries"] == 3
    assert {row.state for row in database.read("SELECT state FROM message")} == {"sent"}
    database.dispose()


def test_a_setting_that_is_no_sender_is_refused_at_the_start() -> None:
    with pytest.raises(ValidationError, match="email_from"):
        settings("postgresql://x", sender="nobody")
