"""`oms customers`, against services that are played."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from typer.testing import CliRunner

from oms_cli import customers
from oms_cli.client import Json

ORDERS = [f"order-{number}" for number in range(201)]


class Services:
    """Answers for all of them, and keeps which orders were asked for."""

    def __init__(self, orders: Sequence[str] = ORDERS) -> None:
        self._orders = orders
        self.exported: list[list[str]] = []

    def act(self, _service: str, path: str, **body: Any) -> Json:
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


def test_an_export_of_nothing_is_on_record_too(monkeypatch: pytest.MonkeyPatch) -> None:
    services = Services(orders=[])
    monkeypatch.setattr(customers, "acting", lambda *_: services)
    CliRunner().invoke(customers.app, ["export", "ann@example.com"])
    assert services.exported == [[]]
