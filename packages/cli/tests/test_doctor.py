"""`oms doctor` next to services of which some have put events aside."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pytest

from oms_cli import doctor
from oms_cli.admin import Acting, Admin
from oms_cli.answers import Refused
from oms_cli.diagnosis import Finding
from oms_cli.portions import Portion, cut
from oms_contracts.topics import SERVICES

WELL = {"consumerPaused": False, "consumerRunning": True, "batchDamaged": False, "pausedQueues": []}
KEYS = {"/admin/dead-letters": "deadLetters", "/admin/outbox": "quarantined"}
Rows = list[dict[str, Any]]


class Services(Admin):
    """All services, as their admin APIs answer."""

    def __init__(self) -> None:
        super().__init__({}, "token", Acting("ann"))
        self.stuck: list[str] = []
        self.refunds: Rows = []
        self.compensations: Rows = []  # payments whose refund has failed
        self.states: defaultdict[str, dict[str, str]] = defaultdict(dict)  # what a service knows of orders and refunds
        self.put_aside: Mapping[tuple[str, str], Rows] = defaultdict(list)
        self.limits: list[int] = []
        self.unread: set[str] = set()  # paths of lists that cannot be had

    def bury(self, service: str, subject: str, *ids: int, topic: str = "orderCreatedEvent") -> None:
        rows = [{"id": one, "subject": subject, "topic": topic, "error": "LookupError"} for one in ids]
        since = [{**row, "deadAt": f"2026-11-27T12:00:{row['id']:02}Z"} for row in rows]
        self.put_aside[service, "deadLetters"].extend(since)

    def quarantine(self, service: str, subject: str, row: int) -> None:
        more = {"topic": "orderCreatedEvent", "error": "RecordTooLarge", "quarantinedAt": "2026-11-27T11:00:00Z"}
        self.put_aside[service, "quarantined"].append({"id": row, "subject": subject, **more})

    def get(self, service: str, path: str, **params: str | int | None) -> dict[str, Any]:
        assert (path, params) == ("/admin/condition", {})
        return WELL | {key: len(self.put_aside[service, key]) for key in KEYS.values()}

    def pages(self, service: str, path: str, limit: int, **params: str | int | None) -> Portion:
        assert path != "/admin/dead-letters" or params == {"state": "dead"}
        self.limits.append(limit)
        if path in self.unread:
            raise Refused("The service cannot do this at the moment. (503)")
        if path in KEYS:
            return cut(self.put_aside[service, KEYS[path]], limit)
        if path == "/admin/orders/stuck":
            at = "2026-11-27T12:00:00Z"
            rows = [{"id": one, "status": "PENDING", "step": "payment", "updatedAt": at} for one in self.stuck]
            return cut(rows, limit)
        if path == "/admin/payments":
            return cut([one for one in self.compensations if one["reason"] == params["reason"]], limit)
        return cut(self.refunds if path == "/admin/refunds/held" else [], limit)

    def look(self, service: str, path: str, **body: Any) -> dict[str, Any]:
        assert path == "/admin/evidence"
        about = {
            key: [row for row in self.put_aside[service, key] if row["subject"] in body["subjects"]]
            for key in KEYS.values()
        }
        assert len(body["subjects"]) <= 200
        states = {one: state for one, state in self.states[service].items() if one in body["subjects"]}
        return {"states": states, "jobs": [], "unsent": [], **about}

    def findings(self, limit: int = 200) -> dict[str, Finding]:
        """What the doctor finds, by the command that it gives."""
        return {one.command: one for one in doctor.findings(self, 300, limit)}


@pytest.fixture
def services() -> Services:
    return Services()


def test_where_nothing_was_put_aside_nothing_is_held_up(services: Services) -> None:
    assert services.findings() == {}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_whose_dead_letters_are_about_no_order_that_is_stuck_is_named_once(
    services: Services, service: str
) -> None:
    services.bury(service, "Item1", 2, topic="itemUpdatedEvent")
    services.bury(service, "o-1", 1)
    (finding,) = services.findings().values()
    assert finding.what == f"service {service}"
    assert finding.command == f"oms deadletters list --service {service}"
    assert finding.since == "2026-11-27T12:00:01Z"
    assert "2 dead letters" in finding.evidence
    assert "itemUpdatedEvent: LookupError" in finding.evidence


def test_a_service_with_events_in_quarantine_is_named(services: Services) -> None:
    services.quarantine("order", "o-1", 7)
    (finding,) = services.findings().values()
    assert finding.command == "oms outbox list --service order"
    assert "1 quarantined event of order" in finding.evidence


def test_what_an_order_waits_for_is_named_by_its_finding_alone(services: Services) -> None:
    services.stuck = ["o-1", "o-2"]
    services.bury("payment", "o-1", 1, 2)
    services.quarantine("order", "o-2", 7)
    assert services.findings().keys() == {"oms deadletters redrive payment 1", "oms outbox redrive order 7"}


def test_what_else_was_put_aside_is_not_hidden_by_what_orders_wait_for(services: Services) -> None:
    services.stuck = ["o-1"]
    services.bury("payment", "o-1", 1)
    services.bury("payment", "o-3", 2)
    services.bury("sms", "o-1", 3)
    services.quarantine("order", "o-1", 7)
    assert services.findings(limit=1).keys() == {
        "oms deadletters redrive payment 1",
        "oms deadletters list --service payment",
        "oms deadletters list --service sms",
        "oms outbox list --service order",
    }


def test_a_refund_that_waits_for_something_else_hides_no_dead_letter(services: Services) -> None:
    services.refunds = [{"id": "r", "orderId": "o-1", "status": "FAILED", "failure": "gateway-refused", "since": "x"}]
    services.bury("payment", "o-1", 1)
    assert "oms deadletters list --service payment" in services.findings()


def failed(number: int) -> dict[str, Any]:
    """A refund that has failed, as far as the order service knows."""
    return {
        "id": f"r-{number}",
        "orderId": f"o-{number}",
        "status": "FAILED",
        "failure": "gateway-failed",
        "since": "x",
    }


@pytest.mark.parametrize(
    ("state", "command"),
    [
        ("FAILED", "oms payments retry-refund o-1 --refund r-1"),
        ("SUCCEEDED", "oms payments resolve o-1 --refund r-1"),  # it cannot be made once more
        ("PENDING", "docs/runbooks/OmsRefundsStuck.md"),  # and it is being made
    ],
)
def test_the_command_that_helps_a_failed_refund_follows_from_what_payment_knows(
    services: Services, state: str, command: str
) -> None:
    services.refunds = [failed(1)]
    services.states["payment"]["r-1"] = state
    assert [*services.findings()] == [command]


def test_a_refund_that_has_failed_too_often_is_not_to_be_tried_again(services: Services) -> None:
    services.refunds = [failed(1) | {"failure": "failed-too-often"}]
    services.compensations = [
        {"orderId": "o-2", "reason": "refund-failed", "updatedAt": "x"},
        {"orderId": "o-3", "reason": "failed-too-often", "updatedAt": "x"},
    ]
    assert [*services.findings()] == [
        "oms payments retry-refund o-2",
        "docs/runbooks/OmsCompensationFailed.md",
        "docs/runbooks/OmsRefundsFailed.md",
    ]


@pytest.mark.parametrize("state", ["SUCCEEDED", "PENDING"])
def test_what_keeps_the_order_service_from_knowing_that_a_refund_was_made_is_named(
    services: Services, state: str
) -> None:
    services.refunds = [failed(1)]
    services.states["payment"]["r-1"] = state
    services.bury("order", "o-1", 4, topic="refundCompletedEvent")
    assert [*services.findings()] == ["oms deadletters redrive order 4"]


def test_of_very_many_refunds_each_is_looked_up(services: Services) -> None:
    services.refunds = [failed(number) for number in range(250)]
    services.states["payment"] = {f"r-{number}": "SUCCEEDED" for number in range(250)}
    assert len(services.findings(limit=250)) == 250


def test_more_than_are_looked_at_are_said_to_be_more(services: Services) -> None:
    services.bury("email", "o-1", *range(1, 30))
    (finding,) = services.findings(limit=5).values()
    assert "5 or more dead letters of email" in finding.evidence
    assert max(services.limits) == 5


@pytest.mark.parametrize("path", ["/admin/orders/stuck", "/admin/refunds/held", "/admin/payments", "/admin/messages"])
def test_a_list_that_cannot_be_read_is_reported_and_does_not_hide_the_others(services: Services, path: str) -> None:
    services.unread = {path}
    services.bury("inventory", "o-1", 1)
    found = list(doctor.findings(services, 300, 200))
    assert [one.command for one in found if one.command] == ["oms deadletters list --service inventory"]
    unread = [one for one in found if path in one.evidence]
    assert unread
    assert {"(503)" in one.evidence for one in unread} == {True}


def test_events_that_were_put_aside_and_cannot_be_listed_are_no_reason_to_name_nothing(services: Services) -> None:
    services.unread = {"/admin/dead-letters"}
    services.bury("sms", "o-1", 1)
    services.quarantine("order", "o-1", 7)
    found = {one.what: one.evidence for one in doctor.findings(services, 300, 200)}
    assert "quarantined event" in found["service order"]
    assert "/admin/dead-letters" in found["service sms"]
