"""What operators see of the content of letters and events."""

import json

import pytest
from starlette.testclient import TestClient
from support.repairs import SECRET, Orders, audit, bury, record

from oms_chassis.db import Database
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.messaging.streams import Record
from oms_contracts.topics import PAYMENT_COMPLETED


def test_the_content_of_a_letter_is_masked_and_revealing_it_is_on_record(
    client: TestClient, consumer: Consumer, orders: Orders
) -> None:
    bury(consumer, orders, record("a", 1))
    (letter,) = client.get("/admin/dead-letters").json()
    masked = client.get(f"/admin/dead-letters/{letter['id']}")
    assert not any(private in masked.text for private in (SECRET, "Ann", "771234567"))
    assert masked.json()["value"]["data"]["total"] == 1250
    assert masked.json()["headers"] | {"oms-error": "LookupError"} == masked.json()["headers"]
    assert audit(client) == []
    revealed = client.post(f"/admin/dead-letters/{letter['id']}/reveal").json()
    assert revealed["value"]["data"]["customer"]["email"] == SECRET
    assert audit(client) == [("deadletters.reveal", str(letter["id"]))]


def test_revealing_a_letter_is_on_record_so_that_a_dry_run_is_refused(
    client: TestClient, consumer: Consumer, orders: Orders
) -> None:
    bury(consumer, orders, record("a", 1))
    (letter,) = client.get("/admin/dead-letters").json()
    dry = client.post(f"/admin/dead-letters/{letter['id']}/reveal", headers={"OMS-Dry-Run": "true"})
    assert (dry.status_code, [error["field"] for error in dry.json()["errors"]]) == (422, ["OMS-Dry-Run"])
    assert SECRET not in dry.text


ODD = [
    b'{"a": NaN, "b": -Infinity, "c": 1e999}',
    b'{"\\ud800": 1, "id": "\\udfff", "text": "\\ud800"}',
    b"[" * 900 + b"]" * 900,
    b'{"a":' * 300 + b"1" + b"}" * 300,
    b"[" * 200_000,
    b"9" * 5000,
    b"\xff\xfe[\x001\x00]\x00",
    b"",
]


@pytest.mark.parametrize("value", ODD)
def test_a_letter_is_shown_whatever_it_holds(client: TestClient, consumer: Consumer, value: bytes) -> None:
    consumer.work([Record(PAYMENT_COMPLETED.name, 0, 1, b"a", value, [])])
    (letter,) = client.get("/admin/dead-letters").json()
    assert client.get(f"/admin/dead-letters/{letter['id']}").status_code == 200
    assert client.post(f"/admin/dead-letters/{letter['id']}/reveal").status_code == 200


def test_possible_customer_data_is_masked_wherever_it_is(client: TestClient, consumer: Consumer) -> None:
    private = ["ann@example.com", "Ann Other", "+94771234567", 94771234567, 9.4771234567e10, "94771234567"]
    value = {"subject": private[0], "reason": private[1], "orderId": private[2], "n": private[3:5], "id": private[5]}
    value |= {"ann@example.com": 1, "94771234567": True, "phoneE164": "+94771234567", "total": 249_000_000}
    consumer.work([Record(PAYMENT_COMPLETED.name, 0, 1, b"a", json.dumps(value).encode(), [])])
    (letter,) = client.get("/admin/dead-letters").json()
    shown = client.get(f"/admin/dead-letters/{letter['id']}")
    assert not any(str(one) in shown.text for one in private)
    assert (shown.json()["value"]["phoneE164"], shown.json()["value"]["total"]) == ("***", 249_000_000)
    revealed = client.post(f"/admin/dead-letters/{letter['id']}/reveal").json()["value"]
    assert revealed == value


@pytest.mark.parametrize(
    "card", [{"oops": 4242424242424242}, {"oops": "paid by 4242 4242 4242 4242"}, ["4242424242424242"]]
)
def test_a_card_number_is_not_shown_whatever_its_field_is_called(
    client: TestClient, consumer: Consumer, card: object
) -> None:
    consumer.work([Record(PAYMENT_COMPLETED.name, 0, 1, b"a", json.dumps(card).encode(), [])])
    (letter,) = client.get("/admin/dead-letters").json()
    for answer in (
        client.get(f"/admin/dead-letters/{letter['id']}"),
        client.post(f"/admin/dead-letters/{letter['id']}/reveal"),
    ):
        assert (answer.status_code, "4242" in answer.text) == (200, False)


@pytest.mark.parametrize("card", ["token", "last4", "number", "cvv", "expiry", "brand"])
def test_a_card_is_never_shown(client: TestClient, consumer: Consumer, card: str) -> None:
    value = json.dumps({"payment": {card: "tok-4242"}}).encode()
    consumer.work([Record(PAYMENT_COMPLETED.name, 0, 1, b"a", value, [("card", b"4242 4242 4242 4242")])])
    (letter,) = client.get("/admin/dead-letters").json()
    for answer in (
        client.get(f"/admin/dead-letters/{letter['id']}"),
        client.post(f"/admin/dead-letters/{letter['id']}/reveal"),
    ):
        assert "4242" not in answer.text


@pytest.mark.parametrize("private", ["ann@example.com", "+94771234567", "94771234567", "4242 4242 4242 4242"])
def test_private_data_is_masked_in_a_letters_key_and_headers_too(
    client: TestClient, consumer: Consumer, private: str
) -> None:
    headers = [(name, private.encode()) for name in ("content-type", "traceparent", "oms-of", private)]
    consumer.work([Record(PAYMENT_COMPLETED.name, 0, 1, private.encode(), b"{}", headers)])
    (letter,) = client.get("/admin/dead-letters", params={"subject": private}).json()
    assert letter["subject"] == "***"
    masked = client.get(f"/admin/dead-letters/{letter['id']}")
    assert private not in masked.text
    evidence = client.post("/admin/evidence", json={"subjects": [private]})
    assert [one["subject"] for one in evidence.json()["deadLetters"]] == ["***"]
    assert [one["subject"] for one in evidence.json()["unsent"]] == ["***"]
    revealed = client.post(f"/admin/dead-letters/{letter['id']}/reveal")
    assert (private in revealed.text) == (revealed.json()["subject"] == private) == ("4242" not in private)


def test_the_headers_that_a_letter_adds_are_shown(client: TestClient, consumer: Consumer) -> None:
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    known = [("traceparent", trace), ("content-type", b"application/json; charset=utf-8")]
    consumer.work([Record(PAYMENT_COMPLETED.name, 0, 123_456_789, b"a", b"{}", known)])
    (letter,) = client.get("/admin/dead-letters").json()
    headers = client.get(f"/admin/dead-letters/{letter['id']}").json()["headers"]
    assert headers["oms-offset"] == "123456789"
    assert headers["oms-topic"] == PAYMENT_COMPLETED.name
    assert {name: value.decode() for name, value in known}.items() <= headers.items()


def test_a_quarantined_event_s_key_is_masked(client: TestClient, database: Database) -> None:
    quarantined = """
        INSERT INTO outbox_quarantine (id, topic, key, value, created_at, error)
        VALUES (1, 't', %(key)s, '', now(), 'e')
    """
    database.execute(quarantined, key=SECRET.encode())
    (row,) = client.get("/admin/outbox", params={"subject": SECRET}).json()
    assert row["subject"] == "***"
    evidence = client.post("/admin/evidence", json={"subjects": [SECRET]}).json()
    assert [one["subject"] for one in evidence["quarantined"]] == ["***"]


def test_content_other_than_json_is_shown_without_long_numbers(client: TestClient, consumer: Consumer) -> None:
    consumer.work([Record(PAYMENT_COMPLETED.name, 0, 1, b"\xff\x00", b"\xff not json 4242-4242-4242-4242")])
    (letter,) = client.get("/admin/dead-letters").json()
    assert letter["subject"] is None
    assert "bytes that are no JSON" in client.get(f"/admin/dead-letters/{letter['id']}").json()["value"]
    revealed = client.post(f"/admin/dead-letters/{letter['id']}/reveal").json()["value"]
    assert "not json ***" in revealed
    answer = client.post(f"/admin/dead-letters/{letter['id']}/redrive")
    assert answer.json()["detail"] == "It fails by ValidationError."
