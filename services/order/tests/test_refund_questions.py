"""Refunds that wait for their outcome: they are asked about again, counted and listed."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from support.admin import operated
from support.chassis import deliver
from support.refunds import ONE, TOTAL, complete, fail, refund, requests

from oms_chassis.runtime.service import Components
from oms_contracts import topics
from oms_contracts.events import (
    RefundFailed,
)
from oms_order import admin, handlers, refunding
from oms_order.metrics import OrderMetrics
from oms_order.refunds import RefundStatus
from oms_order.repository import orders


def test_payment_is_asked_again_about_what_does_not_come_back(service: Any, order: str) -> None:
    late, done, fresh = (refund(service, order, {"amount": 1}).json()["id"] for _ in range(3))
    complete(service, order, done)
    service.database.execute("UPDATE refund SET requested_at = now() - interval '1 h' WHERE id <> %(id)s", id=fresh)
    refunding.republish_sweep(service.database, 300)()
    asked = Counter(event.data.refund_id for event in requests(service))
    assert asked == {late: 2, done: 1, fresh: 1}


def pass_time(service: Any, seconds: float) -> None:
    sql = "UPDATE refund SET settled_at = settled_at - make_interval(secs => %(seconds)s)"
    service.database.execute(sql, seconds=seconds)


def questions(service: Any, *, days: float | None = None) -> int:
    """Let the service look once for what it has to ask about refunds that have failed; how much it asked."""
    service.database.execute("DELETE FROM outbox")
    refunding.republish_sweep(service.database, 300, days)()
    return sum(event.data.failed is True for event in requests(service))


def test_payment_is_asked_ever_more_rarely_whether_what_has_failed_was_made_after_all(service: Any, order: str) -> None:
    """The event that said so may be lost. That of most there is no news is no reason to ask for ever."""
    made = refund(service, order, ONE).json()
    fail(service, order, made["id"], 1)
    assert questions(service) == 0
    asked = []
    for _ in range(24 * 12):  # a day
        pass_time(service, 300.5)
        asked.append(questions(service))
    assert [number for number, many in enumerate(asked, 1) if many] == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert set(asked) == {0, 1}
    complete(service, order, made["id"], 2)
    pass_time(service, 86400)
    assert questions(service) == 0


def test_a_refund_that_has_failed_once_more_is_asked_about_as_soon_as_the_first_time(service: Any, order: str) -> None:
    made = refund(service, order, ONE).json()
    fail(service, order, made["id"], 1)
    pass_time(service, 300.5)
    assert [questions(service), questions(service)] == [1, 0]
    fail(service, order, made["id"], 1)  # it is answered that there is no news
    pass_time(service, 200)
    assert questions(service) == 0
    fail(service, order, made["id"], 2)
    pass_time(service, 300.5)
    assert questions(service) == 1


def test_a_failed_refund_of_an_order_that_others_may_have_deleted_is_not_asked_about(service: Any, order: str) -> None:
    fail(service, order, refund(service, order, ONE).json()["id"])
    pass_time(service, 86400)
    service.database.execute("UPDATE orders SET placed_at = now() - interval '32 days'")
    assert (questions(service, days=31.0), questions(service)) == (0, 1)


def test_no_order_is_asked_about_twice_while_others_wait(
    service: Any, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway may take days for many, all of them older than one whose request was lost."""
    monkeypatch.setattr(refunding, "MOST", 2)
    late = [refund(service, order, {"amount": 1}).json()["id"] for _ in range(3)]
    service.database.execute("UPDATE refund SET requested_at = now() - interval '1 h'")
    service.database.execute("DELETE FROM outbox")
    for _ in range(3):
        service.task("refunds")
    assert [event.data.refund_id for event in requests(service)] == [*late, *late[:2]]


def test_one_that_no_event_can_hold_keeps_no_other_from_being_asked_about(service: Any, order: str) -> None:
    odd, late = (refund(service, order, ONE).json()["id"] for _ in range(2))
    service.database.execute("UPDATE refund SET requested_at = now() - interval '1 h'")
    service.database.execute(
        """UPDATE refund SET lines = '[{"id": "gone", "quantity": 1}]' WHERE id = %(id)s""", id=odd
    )
    with pytest.raises(KeyError):  # and the task has failed, which is counted
        refunding.republish_sweep(service.database, 300)()
    assert Counter(event.data.refund_id for event in requests(service)) == {odd: 1, late: 2}


def test_a_refund_of_an_order_that_others_may_have_deleted_is_not_asked_for_again(service: Any, order: str) -> None:
    refund(service, order, ONE)
    service.database.execute("DELETE FROM outbox")
    service.database.execute("UPDATE refund SET requested_at = now() - interval '30 days'")
    service.database.execute("UPDATE orders SET placed_at = now() - interval '32 days'")
    refunding.republish_sweep(service.database, 300, 31.0)()
    assert requests(service) == []
    refunding.republish_sweep(service.database, 300)()
    assert len(requests(service)) == 1


@pytest.fixture
def operator(service: Any) -> Iterator[TestClient]:
    with operated("order", service.database, Components(admin=[admin.router], states=orders.states)) as client:
        yield client


def held(operator: TestClient) -> dict[str, tuple[str, str | None]]:
    """What waits or has failed, over pages of one."""
    page = operator.get("/admin/refunds/held?limit=1")
    found = page.json()
    while "next" in page.links:
        page = operator.get(page.links["next"]["url"])
        found += page.json()
    return {one["id"]: (one["status"], one["failure"]) for one in found}


def test_refunds_that_wait_for_too_long_are_counted_and_those_that_failed_are_listed_too(
    service: Any, order: str, operator: TestClient
) -> None:
    late, failed, done, fresh = (refund(service, order, {"amount": 1}).json()["id"] for _ in range(4))
    complete(service, order, done)
    fail(service, order, failed)
    service.database.execute("UPDATE refund SET requested_at = now() - interval '1 h' WHERE id <> %(id)s", id=fresh)
    metrics = OrderMetrics(registry := CollectorRegistry())
    refunding.measure_backlog(service.database, metrics, 300)
    assert registry.get_sample_value("oms_refunds_stuck") == 1
    assert held(operator) == {late: ("PENDING", None), failed: ("FAILED", "gateway-refused")}


def test_a_refund_that_failed_is_held_until_less_is_left_than_it_was_of(
    service: Any, order: str, operator: TestClient
) -> None:
    failed = refund(service, order, {"amount": TOTAL}).json()["id"]
    fail(service, order, failed)
    assert set(held(operator)) == {failed}
    complete(service, order, refund(service, order, {"amount": 1}).json()["id"])
    assert held(operator) == {}


def test_what_becomes_of_refunds_is_counted_once(service: Any, order: str) -> None:
    metrics = OrderMetrics(registry := CollectorRegistry())
    handle = {one.topic.name: one.handle for one in handlers.subscriptions(metrics)}
    made = refund(service, order, {"amount": 1}).json()["id"]
    data = RefundFailed(order_id=order, refund_id=made, amount=1, currency="USD", reason="gateway-refused")
    for _ in range(2):
        deliver(service.database, handle[topics.REFUND_FAILED.name], [topics.REFUND_FAILED.event(data, order)])
    counted = {one: registry.get_sample_value("oms_refunds_total", {"status": one}) for one in RefundStatus}
    assert counted == {"PENDING": 0, "SUCCEEDED": 0, "FAILED": 1}
