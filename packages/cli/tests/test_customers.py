"""`oms customers`, against services that are played."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from typer.testing import CliRunner

from oms_cli import customers
from oms_cli.admin import Admin
from oms_cli.client import Json

ORDERS = [f"order-{number}" for number in range(201)]


class Services:
    """Answers for all of them, and keeps which orders were asked for."""

    def __init__(self, orders: Sequence[str] = ORDERS) -> None:
        self._orders = orders
        self.exported: list[list[str]] = []

    def look(self, service: str, path: str, **body: Any) -> Json:  # noqa: ARG002 - which of them does not matter
        if path == "/admin/customers/find":
            return {"orders": dict.fromkeys(self._orders, "CONFIRMED")}
        self.exported.append(body["subjects"])
        return {"orders": [{"id": one} for one in body["subjects"]]}

    def get(self, _service: str, _path: str) -> Json:
        return {}


def test_a_customer_of_many_orders_is_exported_by_several_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    services = Services()
    monkeypatch.setattr(customers, "acting", lambda *_: services)
    printed = CliRunner().invoke(customers.app, ["export", "ann@example.com"])
    assert [len(one) for one in services.exported] == [200, 1]
    assert [one["id"] for one in json.loads(printed.stdout)["orders"]] == ORDERS


class Read(Services):
    """A customer of one order with a refund, neither of which the channels know, and what is a dead letter of them."""

    def __init__(self, **letters: list[str]) -> None:
        super().__init__(["o1"])
        self._letters = letters
        self.erased: list[str] = []

    def act(self, service: str, path: str, **_: Any) -> Json:
        assert path == "/admin/customers/erase"
        self.erased.append(service)
        return {"rows": 1, "deadLetters": 0, "quarantined": 0, "jobs": 0}

    def look(self, service: str, path: str, **body: Any) -> Json:
        if path == "/admin/evidence":
            return {"states": {}}
        return {**super().look(service, path, **body), "texts": [], "announced": {"o1": "o1", "r1": "o1"}}

    def pages(self, _service: str, _path: str, _limit: int, **params: Any) -> list[Json]:
        assert params["subject"] == "o1"
        return [{"id": number, "topic": name} for number, name in enumerate(self._letters.get(params["state"], []))]

    def get(self, _service: str, path: str) -> Json:
        return {"value": {"data": {"refundId": "r1"}} if path == "/admin/dead-letters/1" else "unreadable"}


@pytest.mark.parametrize(
    ("services", "said"),
    [
        (Read(), "email has not read yet what became of o1"),
        (Read(dead=["inventoryUpdatedEvent"]), "email has a dead letter about o1"),
        (Read(dropped=["inventoryUpdatedEvent"]), "email has not read yet what became of r1"),
        (Read(dropped=["inventoryUpdatedEvent"], dead=["x", "orderRefundedEvent"]), "dead letter about o1"),
        (Read(dropped=["orderRefundedEvent", "orderRefundedEvent"]), "email has not read yet what became of o1"),
        (Read(dropped=["inventoryUpdatedEvent", "orderRefundedEvent"]), None),
    ],
    ids=["unread", "to be seen to", "refund unread", "both", "order unread", "dropped"],
)
def test_what_a_channel_gave_up_need_not_be_read_before_a_customer_is_erased(
    monkeypatch: pytest.MonkeyPatch, services: Read, said: str | None
) -> None:
    monkeypatch.setattr(customers, "acting", lambda *_: services)
    monkeypatch.setattr(Admin, "of_environment", lambda *_: services)
    printed = CliRunner().invoke(customers.app, ["erase", "ann@example.com", "--yes"])
    assert said is None or said in str(printed.exception)
    assert bool(services.erased) is (said is None)


def test_an_export_of_nothing_is_on_record_too(monkeypatch: pytest.MonkeyPatch) -> None:
    services = Services(orders=[])
    monkeypatch.setattr(customers, "acting", lambda *_: services)
    CliRunner().invoke(customers.app, ["export", "ann@example.com"])
    assert services.exported == [[]]
