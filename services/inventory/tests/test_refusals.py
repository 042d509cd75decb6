"""Everything that is refused names its field, repeats nothing that was sent, and changes nothing."""

import base64
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from support.chassis import pending_events

from oms_chassis.db import Database

CANARY = "Quixotic-4913"
BODY = {"name": CANARY, "unitPrice": 2500, "onHand": 3}


@pytest.fixture(autouse=True)
def one_item(seed: Callable[..., None]) -> None:
    """A catalogue with one item, which no refusal changes."""
    seed(Item1=3)


def refused(response: httpx2.Response, field: str, *sent: object) -> bool:
    """Whether an answer is a refusal of this field that repeats nothing."""
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert all(error["message"] for error in response.json()["errors"])
    repeated = [one for one in (CANARY, *map(str, sent)) if len(one) > 3 and one in response.text]
    return not repeated


def unchanged(database: Database) -> bool:
    rows = database.execute("SELECT id, name, unit_price, on_hand, version FROM item")
    return [tuple(row) for row in rows] == [("Item1", "The Item1", 100, 3, 1)] and pending_events(database) == []


WRONG: dict[str, list[Any]] = {
    "name": [
        None,
        4913,
        True,
        ["Kettle"],
        "",
        "   ",
        "x" * 201,
        "two\nlines",
        "nul\x00",
        "bell\x07",
        "\x7f",
        "\u200b\u3164",
        "for 4242 4242 4242 4242",
        "4242424242424242",
    ],
    "unitPrice": [None, 0, -4913, 24.13, 1e300, "2500", True, 1_000_000_001, 10**40, [2500]],
    "onHand": [-4913, 24.13, 1e300, "2500", True, 1_000_000_001, 10**40, {"n": 1}],
}


@pytest.mark.parametrize("item", ["Item1", "Item2"])
@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in WRONG.items() for value in values])
def test_a_wrong_value_is_refused(
    client: httpx2.Client, database: Database, item: str, field: str, value: object
) -> None:
    assert refused(client.put(f"/items/{item}", json={**BODY, field: value}), field, value)
    assert unchanged(database)


@pytest.mark.parametrize("item", ["4242424242424242", "SKU-378282246310005"])
def test_a_new_id_that_holds_a_card_number_is_refused(client: httpx2.Client, database: Database, item: str) -> None:
    assert refused(client.put(f"/items/{item}", json=BODY), "item_id", item)
    assert unchanged(database)


def test_the_number_of_an_article_is_an_id_whatever_its_digits_come_to(client: httpx2.Client) -> None:
    for gtin in ("4006381000093", "36412345000082"):  # their digits come to what a card's do
        assert client.put(f"/items/{gtin}", json={**BODY, "name": "A kettle"}).status_code == 201


@pytest.mark.parametrize("field", ["name", "unitPrice"])
def test_a_field_that_is_missing_is_refused(client: httpx2.Client, database: Database, field: str) -> None:
    body = {name: value for name, value in BODY.items() if name != field}
    assert refused(client.put("/items/Item1", json=body), field)
    assert unchanged(database)


@pytest.mark.parametrize("field", ["colour", "unit_price", "id", "version", "Name"])
def test_an_unknown_field_is_refused(client: httpx2.Client, database: Database, field: str) -> None:
    assert refused(client.put("/items/Item1", json={**BODY, field: 4913}), field, 4913)
    assert unchanged(database)


@pytest.mark.parametrize("value", [None, 0, -4913, 24.13, 1e300, "2500", True, 1_000_000_001, 10**40])
def test_a_wrong_quantity_of_a_restock_is_refused(client: httpx2.Client, database: Database, value: object) -> None:
    assert refused(client.post("/items/Item1/restock", json={"quantity": value}), "quantity", value)
    assert unchanged(database)


def test_a_restock_of_nothing_or_of_more_than_a_quantity_is_refused(client: httpx2.Client, database: Database) -> None:
    assert refused(client.post("/items/Item1/restock", json={}), "quantity")
    assert refused(client.post("/items/Item1/restock", json={"quantity": 1, "note": CANARY}), "note")
    assert unchanged(database)


def test_no_body_at_all_is_refused(client: httpx2.Client, database: Database) -> None:
    assert refused(client.put("/items/Item1"), "body")
    assert unchanged(database)


@pytest.mark.parametrize("body", [[BODY], CANARY, 4913, None, True])
def test_a_body_that_is_not_an_object_is_refused(client: httpx2.Client, database: Database, body: object) -> None:
    assert refused(client.put("/items/Item1", json=body), "body", body)
    assert unchanged(database)


@pytest.mark.parametrize("content", [b"{", b'{"name": "Quixotic-4913', b"\xff\xfe", b"{'name': 1}", b'{"name": "a",}'])
def test_a_body_that_is_not_json_is_refused(client: httpx2.Client, database: Database, content: bytes) -> None:
    response = client.put("/items/Item1", content=content, headers={"Content-Type": "application/json"})
    assert (response.status_code, CANARY in response.text) == (400, False)
    assert response.headers["content-type"] == "application/problem+json"
    assert unchanged(database)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_a_body_that_is_not_utf_8_is_refused(client: httpx2.Client, database: Database, encoding: str) -> None:
    content = f'{{"name": "{CANARY}\u00fc", "unitPrice": 2500}}'.encode(encoding)
    response = client.put("/items/Item1", content=content, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["type"]) == (400, "/problems/malformed-json")
    assert unchanged(database)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/items/Item1", b'{"name": "a", "unitPrice": 2500, "unitPrice": 25}'),
        ("/items/Item1/restock", b'{"unitPrice": 1, "quantity": 1, "unitPrice": 2}'),
        ("/items/Item1/correct", b'{"quantity": 1, "reason": {"unitPrice": 1, "unitPrice": 1}}'),
    ],
)
def test_a_name_that_is_given_twice_is_refused(
    client: httpx2.Client, database: Database, path: str, content: bytes
) -> None:
    method = "PUT" if path.endswith("Item1") else "POST"
    response = client.request(method, path, content=content, headers={"Content-Type": "application/json"})
    assert refused(response, "unitPrice")
    assert response.json()["type"] == "/problems/repeated-field"
    assert unchanged(database)


def test_a_body_of_another_type_is_refused(client: httpx2.Client, database: Database) -> None:
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "application/json5", None):
        headers = {"Content-Type": media_type} if media_type else {}
        response = client.put("/items/Item1", content=b'{"name": "a", "unitPrice": 1}', headers=headers)
        assert (response.status_code, response.json()["type"]) == (415, "/problems/unsupported-media-type")
        assert response.headers["accept"] == "application/json"
    assert unchanged(database)


@pytest.mark.parametrize("name", [b"\\ud800", b"\\udfff tail", b"\\u0000"])
def test_a_name_that_is_not_a_text_is_refused(client: httpx2.Client, database: Database, name: bytes) -> None:
    content = b'{"name": "' + name + b'", "unitPrice": 2500}'
    response = client.put("/items/Item1", content=content, headers={"Content-Type": "application/json"})
    assert refused(response, "name")
    assert unchanged(database)


@pytest.mark.parametrize("price", [b"NaN", b"Infinity", b"1e400", b"25.5e0", b"1" * 5000])
def test_a_price_that_is_not_a_whole_number_is_refused(client: httpx2.Client, database: Database, price: bytes) -> None:
    content = b'{"name": "Kettle", "unitPrice": ' + price + b"}"
    response = client.put("/items/Item1", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code in {400, 422}
    assert response.headers["content-type"] == "application/problem+json"
    assert unchanged(database)


def test_a_body_that_is_too_large_is_refused(client: httpx2.Client, database: Database) -> None:
    response = client.put("/items/Item1", json={**BODY, "name": CANARY * 10_000})
    assert (response.status_code, response.json()["type"]) == (413, "/problems/body-too-large")
    assert unchanged(database)


@pytest.mark.parametrize(
    "item", ["-Item", ".Item", "a%20b", "a" * 65, "%00", "a%0A", "%C3%BCber", "a;b", "a'--", "%FF"]
)
def test_an_id_that_no_item_can_have_is_refused(client: httpx2.Client, database: Database, item: str) -> None:
    assert refused(client.get(f"/items/{item}"), "item_id", item)
    assert refused(client.put(f"/items/{item}", json=BODY), "item_id", item)
    assert refused(client.post(f"/items/{item}/restock", json={"quantity": 1}), "item_id", item)
    assert unchanged(database)


@pytest.mark.parametrize("key", ["", "two words", "k" * 201, "tab\tbed", "caf\u00e9"])
def test_an_invalid_key_is_refused(client: httpx2.Client, database: Database, key: str) -> None:
    response = client.post("/items/Item1/restock", json={"quantity": 1}, headers=[(b"Idempotency-Key", key.encode())])
    assert refused(response, "Idempotency-Key", key)
    assert unchanged(database)


@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
@pytest.mark.parametrize("tag", ["", "1", '"x', 'w/"1"', '"1" "2"', '*, "1"', '"a"b"', '"a b"'])
def test_an_invalid_tag_is_refused(client: httpx2.Client, database: Database, name: str, tag: str) -> None:
    assert refused(client.put("/items/Item1", json=BODY, headers={name: tag}), name, tag)
    assert unchanged(database)


@pytest.mark.parametrize("limit", ["0", "-1", "101", "many", "1.5", "", "9" * 30, "1_0", "5.0", "+5"])
def test_a_page_of_no_size_is_refused(client: httpx2.Client, database: Database, limit: str) -> None:
    assert refused(client.get("/items", params={"limit": limit}), "limit", limit)


CURSORS = [b"\x00", b"\xff\xfe", b"-no-id", b"'; --", b"", b"a" * 65, "é".encode(), b"Item1\n"]


@pytest.mark.parametrize(
    "cursor",
    ["!", "a", "====", "ü", "SXRl bTE", "x" * 201, *(base64.b64encode(one).decode() or "=" for one in CURSORS)],
)
def test_a_cursor_that_is_not_ours_is_refused(client: httpx2.Client, database: Database, cursor: str) -> None:
    assert refused(client.get("/items", params={"cursor": cursor}), "cursor", cursor)


def test_methods_and_addresses_that_are_not_there_are_problems_too(client: httpx2.Client, database: Database) -> None:
    for response, status in ((client.delete("/items/Item1"), 405), (client.get("/items/Item1/stock"), 404)):
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
    assert unchanged(database)


def test_a_parameter_that_no_page_has_is_refused(client: httpx2.Client, database: Database) -> None:
    assert refused(client.get("/items", params={"colour": "blue"}), "colour", "blue")
