"""The SMS Service's parts together: from an order's end to the customer's phone."""

from pathlib import Path

from prometheus_client import CollectorRegistry

from oms_chassis import testing
from oms_chassis.service import Context
from oms_notifications.testing import CUSTOMER, confirmed, declined, out_of_stock, running_mail_catcher
from oms_servers.testing import free_port
from oms_sms.main import SERVICE
from oms_sms.settings import SmsSettings


def test_each_order_that_ends_is_told_of_once(database_url: str, tmp_path: Path) -> None:
    database = testing.migrated(database_url, SERVICE.package)
    no_region = CUSTOMER.model_copy(update={"phone_e164": None})
    with running_mail_catcher(tmp_path, free_port(), free_port()) as catcher:
        settings = SmsSettings(
            database_url=database_url, kafka_bootstrap="unused:1", sms_url=f"{catcher.url}/sms", sms_from="OMS"
        )
        parts = SERVICE.build(Context(settings, database, CollectorRegistry()))
        handlers = {one.topic.name: one.handle for one in parts.subscriptions}
        for event in (confirmed("a"), declined("b", customer=no_region), out_of_stock("c"), declined("a")):
            testing.apply(database, handlers[event.type], [event])
        testing.work_off(database, parts.workers[0])
        for stop in parts.on_stop:
            stop()
        found = {one["orderId"]: one for one in catcher.messages(kind="sms")}
    assert {order_id: one["to"] for order_id, one in found.items()} == {
        "a": "+94762222222",
        "b": "762222222",
        "c": "+94762222222",
    }
    assert "is confirmed" in found["a"]["text"]
    assert {row.state for row in database.read("SELECT state FROM message")} == {"sent"}
    database.dispose()
