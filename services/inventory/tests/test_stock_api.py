"""The stock's books: every movement is recorded, and their sum is the stock."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from support.chassis import deliver, pending_events
from support.stock import cancelled, paid

from oms_chassis.db import Database
from oms_contracts.topics import ITEM_UPDATED
from oms_inventory.handlers import order_cancelled, payment_completed
from oms_inventory.repository import journal

Client = httpx2.Client


def correct(client: Client, quantity: int, reason: str = "counted", key: str | None = None) -> httpx2.Response:
    body = {"quantity": quantity, "reason": reason}
    return client.post("/items/kettle/correct", json=body, headers={"Idempotency-Key": key} if key else {})


def movements(client: Client) -> list[tuple[Any, ...]]:
    """Oldest first."""
    found = client.get("/items/kettle/movements").json()[::-1]
    return [tuple(one.get(name) for name in ("kind", "quantity", "orderId", "who", "why")) for one in found]


def test_every_movement_is_listed_with_who_and_why(client: Client, database: Database, seed: Any) -> None:
    seed(kettle=5)
    deliver(database, payment_completed, [paid("o1", {"kettle": 2})])
    client.post("/items/kettle/restock", json={"quantity": 4, "reason": "A delivery"}).raise_for_status()
    deliver(database, order_cancelled, [cancelled("o1", {"kettle": 2})])
    assert correct(client, -3, "Broken").json()["onHand"] == 6
    assert movements(client) == [
        ("initial", 5, None, None, None),
        ("reserved", -2, "o1", "order", None),
        ("restocked", 4, None, "anonymous", "A delivery"),
        ("released", 2, "o1", "order", "customer"),
        ("corrected", -3, None, "anonymous", "Broken"),
    ]
    assert client.get("/stock/differences").json() == []


def test_a_stock_that_is_not_what_its_movements_come_to_is_found(client: Client, database: Database, seed: Any) -> None:
    seed(kettle=5, cup=1)
    client.post("/items/kettle/restock", json={"quantity": 4}).raise_for_status()
    database.execute("DELETE FROM movement")
    assert client.get("/stock/differences").json() == [{"id": "kettle", "onHand": 9, "counted": 5}]


def test_the_books_are_checked_in_stretches_of_items_and_none_is_left_out(
    client: Client, database: Database, seed: Any
) -> None:
    seed(**{f"item{number}": 5 for number in range(7)})
    database.execute("UPDATE item SET initial = 4, corrected = 1 WHERE id IN ('item0', 'item4', 'item6')")
    found, checked, path = list[str](), list[int](), "/stock/differences?limit=2"
    while path:
        answer = client.get(path)
        found += [one["id"] for one in answer.json()]
        checked.append(len(answer.json()))
        path = answer.links.get("next", {}).get("url", "")
    assert (found, checked) == (["item0", "item4", "item6"], [1, 0, 1, 1])
    for wrong in ("limit=0", "limit=1001", "cursor=x"):
        assert client.get(f"/stock/differences?{wrong}").status_code == 422


MANY = 50_000


def test_a_stretch_of_the_books_reads_the_movements_of_its_items_and_no_others(
    client: Client, database: Database, seed: Any
) -> None:
    seed(cup=5, kettle=5)
    database.execute(
        "INSERT INTO movement (item_id, kind, quantity, who) SELECT 'kettle', 'restocked', 1, 'x'"
        f" FROM generate_series(1, {MANY})"
    )
    database.execute("ANALYZE movement")
    with database.transaction() as transaction:
        (plan,) = transaction.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {journal.CHECK}", ids=["cup"])
    steps = list(nodes(plan[0][0]["Plan"]))
    assert "Seq Scan" not in {step["Node Type"] for step in steps if step.get("Alias") == "movement"}
    assert max(step["Actual Rows"] for step in steps) < MANY
    assert client.get("/stock/differences?limit=1").json() == []
    assert client.get("/stock/differences").json() == [{"id": "kettle", "onHand": 5, "counted": 5 + MANY}]


SOLD = 20_000


def test_the_newest_movements_of_an_item_that_sells_are_read_and_no_others(
    client: Client, database: Database, seed: Any
) -> None:
    seed(kettle=5)
    database.execute(
        "INSERT INTO allocation (order_id, is_allocated, at) SELECT to_char(n, 'FM000000'), true,"
        f" timestamptz '2026-01-01' + n * interval '1 second' FROM generate_series(1, {SOLD}) AS n"
    )
    database.execute(
        "INSERT INTO reservation (order_id, item_id, quantity) SELECT order_id, 'kettle', 1 FROM allocation"
    )
    database.execute(
        "INSERT INTO movement (item_id, kind, quantity, who, at) SELECT 'kettle', 'restocked', n, 'x',"
        f" timestamptz '2026-01-01' + (n - 0.5) * interval '1 second' FROM generate_series(1, {SOLD}) AS n"
    )
    database.execute("ANALYZE reservation, allocation, movement")
    with database.transaction() as transaction:
        (plan,) = transaction.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {journal.OF_ITEM}", item="kettle", limit=10)
    assert max(step["Actual Rows"] for step in nodes(plan[0][0]["Plan"])) < 50
    found = client.get("/items/kettle/movements?limit=4").json()
    assert [one.get("orderId") or one["quantity"] for one in found] == ["020000", 20_000, "019999", 19_999]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's steps."""
    yield plan
    for one in plan.get("Plans", ()):
        yield from nodes(one)


def test_a_correction_with_a_key_is_made_once(client: Client, seed: Any) -> None:
    seed(kettle=5)
    answers = [correct(client, -2, key="k") for _ in range(3)]
    assert [answer.json()["onHand"] for answer in answers] == [3, 3, 3]
    assert [answer.headers.get("idempotent-replayed") for answer in answers] == [None, "true", "true"]
    assert correct(client, -1, key="k").status_code == 422
    assert correct(client, -2, key="k", reason="Another one").status_code == 422
    assert client.post("/items/kettle/restock", json={"quantity": 1}, headers={"Idempotency-Key": "k"}).is_success


def test_more_than_there_is_cannot_be_taken_away(client: Client, seed: Any) -> None:
    seed(kettle=5)
    refused = correct(client, -6)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/stock-too-low")
    assert refused.json()["errors"][0]["field"] == "quantity"
    assert movements(client) == [("initial", 5, None, None, None)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"quantity": 0, "reason": "x"}, "quantity"),
        ({"quantity": 1}, "reason"),
        ({"quantity": 1, "reason": " "}, "reason"),
    ],
)
def test_a_correction_says_how_many_and_why(client: Client, seed: Any, body: dict[str, Any], field: str) -> None:
    seed(kettle=5)
    refused = client.post("/items/kettle/correct", json=body)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)


@pytest.mark.parametrize("act", ["correct", "restock"])
def test_the_books_hold_no_card_number(client: Client, database: Database, seed: Any, act: str) -> None:
    seed(kettle=5)
    for reason, key in (("Paid by 4111 1111 1111 1111", "k"), ("Counted", "4111111111111111")):
        body = {"quantity": 1, "reason": reason}
        refused = client.post(f"/items/kettle/{act}", json=body, headers={"Idempotency-Key": key})
        (error,) = refused.json()["errors"]
        assert (refused.status_code, error["field"]) == (422, "reason" if key == "k" else "Idempotency-Key")
        assert "1111" not in refused.text
    assert [row.n for row in database.execute("SELECT count(*) AS n FROM movement")] == [0]


def test_readers_are_notified_when_a_correction_empties_an_item_or_brings_it_back(
    client: Client, database: Database, seed: Any
) -> None:
    seed(kettle=5)
    for quantity in (-4, -1, 2, 1):
        correct(client, quantity).raise_for_status()
    assert [event.data.available for event in pending_events(database, ITEM_UPDATED)] == [False, True]


@pytest.mark.parametrize("path", ["correct", "movements"])
def test_an_item_that_there_is_not_has_no_books(client: Client, path: str) -> None:
    body = {"quantity": 1, "reason": "x"}
    answer = client.post(f"/items/none/{path}", json=body) if path == "correct" else client.get(f"/items/none/{path}")
    assert answer.status_code == 404
