"""Reading and changing the catalogue by HTTP."""

from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import httpx2
import pytest
from support.chassis import pending_events
from support.stock import stock

from oms_chassis.db import Database
from oms_contracts.topics import ITEM_UPDATED

KETTLE = {"name": "A kettle", "unitPrice": 2500, "onHand": 3}


def published(database: Database) -> list[tuple[str, str, int, bool, int]]:
    data = [event.data for event in pending_events(database, ITEM_UPDATED)]
    return [(one.item_id, one.name, one.unit_price, one.available, one.version) for one in data]


def walk(client: httpx2.Client, url: str) -> list[list[str]]:
    pages = []
    while url:
        response = client.get(url)
        assert response.status_code == 200
        pages.append([item["id"] for item in response.json()])
        url = response.links.get("next", {}).get("url", "")
    return pages


def test_an_item_is_created_and_shown(client: httpx2.Client, database: Database) -> None:
    created = client.put("/items/kettle", json=KETTLE)
    assert created.status_code == 201
    assert created.json() == {**KETTLE, "id": "kettle", "currency": "USD", "available": True, "version": 1}
    shown = client.get("/items/kettle")
    assert (shown.json(), shown.headers["etag"]) == (created.json(), created.headers["etag"])
    assert published(database) == [("kettle", "A kettle", 2500, True, 1)]


def test_an_item_without_stock_is_not_available(client: httpx2.Client, database: Database) -> None:
    created = client.put("/items/kettle", json={"name": "A kettle", "unitPrice": 1}).json()
    assert (created["onHand"], created["available"]) == (0, False)
    assert published(database) == [("kettle", "A kettle", 1, False, 1)]


@pytest.mark.parametrize("change", [{"name": "Another"}, {"unitPrice": 2600}])
def test_a_new_name_or_price_is_published(client: httpx2.Client, database: Database, change: dict[str, Any]) -> None:
    first = client.put("/items/kettle", json=KETTLE)
    changed = client.put("/items/kettle", json={**KETTLE, **change})
    assert (changed.status_code, changed.headers["etag"] != first.headers["etag"]) == (200, True)
    assert changed.json() == {**KETTLE, **change, "id": "kettle", "currency": "USD", "available": True, "version": 2}
    last = {**KETTLE, **change}
    assert published(database)[1:] == [("kettle", last["name"], last["unitPrice"], True, 2)]


def test_a_put_that_changes_nothing_publishes_nothing(client: httpx2.Client, database: Database) -> None:
    first = client.put("/items/kettle", json=KETTLE)
    again = client.put("/items/kettle", json=KETTLE)
    assert (again.status_code, again.json()) == (200, first.json())
    assert len(published(database)) == 1


def test_the_stock_of_an_item_that_exists_is_not_overwritten(client: httpx2.Client, database: Database) -> None:
    client.put("/items/kettle", json=KETTLE)
    refused = client.put("/items/kettle", json={**KETTLE, "onHand": 99})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/item-exists")
    assert [error["field"] for error in refused.json()["errors"]] == ["onHand"]
    assert stock(database) == {"kettle": (3, 0)}


def test_a_change_of_a_state_that_has_passed_is_refused(client: httpx2.Client) -> None:
    first = {"If-Match": client.put("/items/kettle", json=KETTLE).headers["etag"]}
    change = {"name": "A kettle", "unitPrice": 1}
    assert client.put("/items/kettle", json=change, headers=first).status_code == 200
    stale = client.put("/items/kettle", json={**change, "unitPrice": 2}, headers=first)
    assert (stale.status_code, stale.json()["type"]) == (412, "/problems/item-changed")
    assert client.get("/items/kettle").json()["unitPrice"] == 1


def test_what_customers_buy_is_no_other_s_change_and_is_shown(client: httpx2.Client, database: Database) -> None:
    seen = client.put("/items/kettle", json=KETTLE).headers["etag"]
    for taken in (1, 2):  # the last of them, too
        database.execute(
            "UPDATE item SET on_hand = on_hand - %(n)s, sold = sold + %(n)s, version = version + 1", n=taken
        )
        shown = client.get("/items/kettle", headers={"If-None-Match": seen})
        assert (shown.status_code, shown.headers["etag"] != seen) == (200, True)
    assert client.put("/items/kettle", json={**KETTLE, "unitPrice": 1}, headers={"If-Match": seen}).status_code == 200


def test_what_the_caller_has_is_not_sent_again(client: httpx2.Client) -> None:
    seen = client.put("/items/kettle", json=KETTLE).headers["etag"]
    for named in (seen, f"W/{seen}", f'"other", {seen}', "*"):
        same = client.get("/items/kettle", headers={"If-None-Match": named})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", seen)
    assert client.head("/items/kettle", headers={"If-None-Match": seen}).status_code == 304
    assert client.get("/items/kettle", headers={"If-None-Match": '"other"'}).status_code == 200
    assert client.get("/items/teapot", headers={"If-None-Match": "*"}).status_code == 404


@pytest.mark.parametrize("others", [['"other"'], ['"other",, W/"more"', ""], [","], ['"other" ,']])
def test_the_tags_of_a_condition_are_those_of_all_its_lines(client: httpx2.Client, others: list[str]) -> None:
    seen = client.put("/items/kettle", json=KETTLE).headers["ETag"]
    lines = [*others, seen]
    for given in (lines, lines[::-1]):
        assert client.get("/items/kettle", headers=[("If-None-Match", one) for one in given]).status_code == 304
        changed = client.put("/items/kettle", json=KETTLE, headers=[("If-Match", one) for one in given])
        assert changed.status_code == 200


def test_a_condition_that_says_two_things_is_refused(client: httpx2.Client) -> None:
    client.put("/items/kettle", json=KETTLE)
    given = [("If-None-Match", '"other"'), ("If-None-Match", "*")]
    for headers in (given, given[::-1]):
        assert client.put("/items/kettle", json=KETTLE, headers=headers).status_code == 422


def test_an_empty_cursor_is_refused(client: httpx2.Client) -> None:
    response = client.get("/items?cursor=")
    assert (response.status_code, response.json()["type"]) == (422, "/problems/bad-cursor")


@pytest.mark.parametrize("price", [b"9" * 5000, b"-" + b"9" * 5000])
def test_a_number_longer_than_any_reader_accepts_is_not_json(client: httpx2.Client, price: bytes) -> None:
    body = b'{"name": "x", "unitPrice": %b}' % price
    response = client.put("/items/kettle", content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["type"]) == (400, "/problems/malformed-json")


def test_an_item_is_created_only_where_there_is_none_if_that_is_asked(client: httpx2.Client) -> None:
    only = {"If-None-Match": "*"}
    assert client.put("/items/kettle", json=KETTLE, headers=only).status_code == 201
    refused = client.put("/items/kettle", json={**KETTLE, "unitPrice": 1}, headers=only)
    assert (refused.status_code, refused.json()["type"]) == (412, "/problems/item-changed")
    assert client.get("/items/kettle").json()["unitPrice"] == KETTLE["unitPrice"]


def test_a_state_may_be_one_of_several_or_any_and_a_weak_tag_is_none(client: httpx2.Client) -> None:
    seen = client.put("/items/kettle", json=KETTLE).headers["etag"]
    for named, status in ((f'"other", {seen}', 200), ("*", 200), ('"1"', 412), (f"W/{seen}", 412)):
        answer = client.put("/items/kettle", json=KETTLE, headers={"If-Match": named})
        assert answer.status_code == status, named


@pytest.mark.parametrize("named", ['"1"', "*"])
def test_a_tag_does_not_create_a_missing_item(client: httpx2.Client, database: Database, named: str) -> None:
    response = client.put("/items/kettle", json=KETTLE, headers={"If-Match": named})
    assert (response.status_code, response.json()["type"]) == (412, "/problems/item-changed")
    assert stock(database) == {}


def test_only_one_of_many_concurrent_requests_creates_an_item(client: httpx2.Client, database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.put("/items/kettle", json=KETTLE).status_code, range(16)))
    assert sorted(answers) == [200] * 15 + [201]
    assert len(published(database)) == 1


def test_only_one_of_many_concurrent_requests_changes_a_version(client: httpx2.Client, database: Database) -> None:
    seen = client.put("/items/kettle", json=KETTLE).headers["etag"]

    def change(number: int) -> int:
        body = {"name": f"Kettle {number}", "unitPrice": 1}
        return client.put("/items/kettle", json=body, headers={"If-Match": seen}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(change, range(8))) == [200] + [412] * 7
    assert [version for *_, version in published(database)] == [1, 2]


def test_pages_lead_through_all_items_once_and_end(client: httpx2.Client, seed: Any) -> None:
    seed(**{f"Item{number}": 1 for number in range(7)})
    pages = walk(client, "/items?limit=3")
    assert [len(page) for page in pages] == [3, 3, 1]
    ids = list(chain.from_iterable(pages))
    assert ids == [f"Item{number}" for number in range(7)]
    assert walk(client, "/items?limit=7") == walk(client, "/items") == [ids]


def test_ids_of_every_length_and_sign_can_end_a_page(client: httpx2.Client, seed: Any) -> None:
    ids = {"a", "ab", "abc", "abcd", "a.b-c_d", "x" * 64, "A" * 63}
    seed(**dict.fromkeys(ids, 1))
    pages = walk(client, "/items?limit=1")
    assert len(pages) == len(ids)
    assert set(chain.from_iterable(pages)) == ids


def test_an_item_that_is_added_meanwhile_shifts_no_page(client: httpx2.Client, seed: Any) -> None:
    seed(b=1, c=1, d=1)
    first = client.get("/items?limit=2")
    client.put("/items/a", json=KETTLE)
    assert walk(client, first.links["next"]["url"]) == [["d"]]


def test_an_empty_catalogue_is_an_empty_page(client: httpx2.Client, database: Database) -> None:
    response = client.get("/items")
    assert (response.status_code, response.json(), response.links) == (200, [], {})


@pytest.mark.parametrize("path", ["/items/nothing", "/items/nothing/restock"])
def test_an_item_that_is_not_there_is_a_problem(client: httpx2.Client, database: Database, path: str) -> None:
    response = client.post(path, json={"quantity": 1}) if path.endswith("restock") else client.get(path)
    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")
    assert response.json()["type"] == "/problems/item-not-found"
