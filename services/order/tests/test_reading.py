"""GET /order and GET /order/{id}."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from oms_chassis.db import Database
from oms_chassis.http import pages
from oms_contracts.ids import new_id
from oms_order import ids
from oms_order.requests import SAMPLE

UNKNOWN = "0198c0de-0000-7000-8000-000000000000"  # fixed: pytest-xdist wants the same names in each worker


def place(service: Any, count: int, email: str = "test@gmail.com") -> list[str]:
    body = {**SAMPLE, "customer": {**SAMPLE["customer"], "email": email}}
    return [service.client.post("/order", json=body).json()["id"] for _ in range(count)]


def listed(service: Any, **params: Any) -> list[str]:
    response = service.client.get("/order", params=params)
    assert response.status_code == 200
    return [order["id"] for order in response.json()]


def follow(service: Any, address: str) -> list[list[str]]:
    """The ids on every page, from this one on by its Link headers."""
    pages = []
    while address:
        response = service.client.get(address)
        pages.append([order["id"] for order in response.json()])
        address = response.links.get("next", {}).get("url", "")
    return pages


def test_without_orders_the_list_is_empty(service: Any) -> None:
    response = service.client.get("/order")
    assert (response.status_code, response.json()) == (200, [])
    assert "link" not in response.headers


def test_the_newest_order_comes_first(service: Any) -> None:
    assert place(service, 5) == listed(service)[::-1]


def test_a_listed_order_shows_status_and_total_but_no_lines(service: Any) -> None:
    place(service, 1)
    (order,) = service.client.get("/order").json()
    assert set(order) == {"id", "status", "customer", "total", "currency", "placedAt", "updatedAt"}
    assert (order["status"], order["total"]) == ("PENDING", 200)


def test_pages_follow_each_other_without_gap_or_repetition(service: Any) -> None:
    placed = place(service, 7)
    assert follow(service, "/order?limit=3") == [placed[:3:-1], placed[3:0:-1], placed[:1]]


def test_a_page_that_ends_with_the_last_order_has_no_next(service: Any) -> None:
    placed = place(service, 4)
    assert follow(service, "/order?limit=2") == [placed[:1:-1], placed[1::-1]]


def test_orders_that_arrive_meanwhile_shift_nothing(service: Any) -> None:
    placed = place(service, 4)
    first = service.client.get("/order", params={"limit": 2})
    place(service, 3)
    second = service.client.get(first.links["next"]["url"])
    assert [order["id"] for order in second.json()] == placed[1::-1]


def test_a_next_page_keeps_the_filters(service: Any) -> None:
    mine = place(service, 3, "a+b@example.com")
    place(service, 2)
    assert follow(service, "/order?limit=2&email=a%2Bb@example.com&status=PENDING") == [mine[:0:-1], mine[:1]]


def test_orders_are_found_by_status(service: Any) -> None:
    placed = place(service, 3)
    service.database.execute("UPDATE orders SET status = 'PAID' WHERE id = %(id)s", id=placed[1])
    assert listed(service, status="PAID") == [placed[1]]
    assert listed(service, status="CONFIRMED") == []


def test_orders_are_found_by_email_in_any_case(service: Any) -> None:
    place(service, 1)
    mine = place(service, 1, "Someone@example.com")
    assert listed(service, email="someone@EXAMPLE.com") == mine


def test_orders_are_found_by_time(service: Any) -> None:
    place(service, 2)
    now = datetime.now(UTC)
    later = place(service, 2)
    assert listed(service, since=now.isoformat()) == later[::-1]
    assert len(listed(service, since="0001-01-01T00:00:00Z")) == 4
    assert listed(service, since="9999-12-31T23:59:59Z") == []


def test_an_order_whose_id_is_a_little_older_than_its_time_is_found(service: Any) -> None:
    """Both are taken one after the other; a second may begin in between, or the clock may be set."""
    (placed,) = place(service, 1)
    since = datetime.fromtimestamp((UUID(placed).int >> 80) / 1000, UTC) + timedelta(milliseconds=900)
    service.database.execute("UPDATE orders SET placed_at = %(since)s", since=since)
    assert listed(service, since=since.isoformat()) == [placed]


def test_no_time_is_too_far_away_to_be_asked_for(service: Any) -> None:
    placed = place(service, 1)
    assert listed(service, since="9999-12-31T23:59:59-14:00") == []
    assert listed(service, since="0001-01-01T00:00:00+14:00") == placed


def test_times_are_utc_whatever_the_server_s_zone(migrated_url: str, start: Callable[..., Any]) -> None:
    database = Database(migrated_url, 2)
    name = database.execute("SELECT current_database() AS name")[0].name
    database.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Colombo'")
    try:
        service = start()
        placed = service.client.post("/order", json=SAMPLE).json()
        shown = service.client.get(f"/order/{placed['id']}").json()
        (summary,) = service.client.get("/order").json()
    finally:
        database.execute(f"ALTER DATABASE {name} RESET timezone")
        database.dispose()
    times = [placed["placedAt"], summary["placedAt"], summary["updatedAt"], shown["placedAt"]]
    times += [shown["updatedAt"], *(step["at"] for step in shown["timeline"])]
    assert {time[-1] for time in times} == {"Z"}
    assert shown["placedAt"] == placed["placedAt"]


@pytest.mark.parametrize("since", ["2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00.5+0530", "2026-01-01T00:00+05:00"])
def test_whoever_forgets_to_encode_the_plus_of_an_offset_reads_how(service: Any, since: str) -> None:
    response = service.client.get(f"/order?since={since}")
    (error,) = response.json()["errors"]
    assert (response.status_code, error["field"]) == (422, "since")
    assert "%2B" in error["message"]
    assert service.client.get(f"/order?since={since.replace('+', '%2B')}").status_code == 200


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "many"}, "limit"),
        *(({"limit": written}, "limit") for written in ("1_0", "5.0", " 5", "+5", "05", "5\u00a0")),
        ({"status": "SHIPPED"}, "status"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-01-01T00:00:00"}, "since"),
        ({"cursor": "nonsense!"}, "cursor"),
        ({"cursor": "AAAA"}, "cursor"),
        ({"cursor": ""}, "cursor"),
        ({"cursor": "\u00e9"}, "cursor"),
        ({"cursor": "x" * 101}, "cursor"),
        ({"email": "a\x00b"}, "email"),
        ({"Email": "nobody@example.com"}, "Email"),
        ({"state": "CONFIRMED"}, "state"),
        ({"status": ["CONFIRMED", "PENDING"]}, "status"),
    ],
)
def test_a_filter_that_is_none_is_refused(service: Any, params: dict[str, Any], field: str) -> None:
    response = service.client.get("/order", params=params)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


@pytest.mark.parametrize("end", ["T" * 30_000, "0" * 30_000])
def test_a_time_without_end_is_refused_at_once(service: Any, end: str) -> None:
    """It is read by the loop that serves everybody."""
    began = time.monotonic()
    response = service.client.get("/order", params={"since": f"2026-01-01T{end}"})
    assert time.monotonic() - began < 1.5
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["since"]


def test_a_cursor_of_an_order_that_is_gone_still_works(service: Any) -> None:
    placed = place(service, 1)
    assert listed(service, cursor=pages.encode(new_id().bytes)) == placed


@pytest.mark.parametrize("order_id", [UNKNOWN, "1", "{}", "00000000000000000000000000000000"])
@pytest.mark.parametrize("more", ["", "/events"])
def test_an_unknown_order_is_not_found(service: Any, order_id: str, more: str) -> None:
    response = service.client.get(f"/order/{order_id}{more}")
    assert (response.status_code, response.json()["type"]) == (404, "/problems/order-not-found")


def test_no_order_of_a_moment_or_later_has_an_id_below_the_first_of_that_moment() -> None:
    before = datetime.now(UTC)
    assert ids.first_id(before) <= new_id()


def test_the_interface_is_documented_with_the_body_that_it_takes(service: Any) -> None:
    document = service.client.get("/openapi.json").json()
    operation = document["paths"]["/order"]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    assert set(content["schema"]["properties"]) == {"customer", "items", "paymentDetails"}
    assert "$ref" not in str(content)
    assert service.client.post("/order", json=content["example"]).status_code == 202
