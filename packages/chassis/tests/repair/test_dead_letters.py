"""Dead letters are listed, redriven and dropped."""

import pytest
from starlette.testclient import TestClient
from support.repairs import SECRET, Orders, audit, bury, record
from support.seen import seen

from oms_chassis.admin import deadletters
from oms_chassis.db import Database
from oms_chassis.messaging import deadletterstore
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.retention import prune
from oms_contracts.topics import ITEM_UPDATED


def test_a_dead_letter_is_listed_redriven_and_applied_once(
    client: TestClient, consumer: Consumer, orders: Orders, database: Database
) -> None:
    bury(consumer, orders, record("a", 1))
    (letter,) = client.get("/admin/dead-letters").json()
    shown = {name: letter[name] for name in ("topic", "partition", "recordOffset", "error", "subject", "state")}
    assert shown == {
        "topic": "paymentCompletedEvent",
        "partition": 0,
        "recordOffset": 1,
        "error": "LookupError",
        "subject": "a",
        "state": "dead",
    }
    orders.broken.clear()
    answer = client.post(f"/admin/dead-letters/{letter['id']}/redrive")
    assert answer.json() == {"id": letter["id"], "outcome": "applied"}
    again = client.post(f"/admin/dead-letters/{letter['id']}/redrive")
    assert (again.status_code, again.json()["type"]) == (409, "/problems/dead-letter-settled")
    assert seen(database) == {"a": 1}
    assert client.get("/admin/dead-letters").json() == []
    assert [one["state"] for one in client.get("/admin/dead-letters?state=redriven").json()] == ["redriven"]
    assert audit(client) == [("deadletters.redrive", str(letter["id"]))]


@pytest.mark.parametrize("written", ["0{}", "+{}", "{}.0", " {}"])
def test_an_act_takes_an_id_only_as_it_is_shown(
    client: TestClient, consumer: Consumer, orders: Orders, written: str
) -> None:
    bury(consumer, orders, record("a", 1))
    (letter,) = client.get("/admin/dead-letters").json()
    for path in ("dead-letters/{}/drop", "outbox/{}/drop"):
        refused = client.post(f"/admin/{path}".format(written.format(letter["id"])))
        assert (refused.status_code, refused.json()["type"]) == (422, "/problems/invalid-request")
    assert client.get("/admin/dead-letters").json() == [letter]


def test_a_dead_letter_with_a_state_of_a_later_release_is_listed_and_shown(
    client: TestClient, consumer: Consumer, orders: Orders, database: Database
) -> None:
    bury(consumer, orders, record("a", 1))
    (letter,) = client.get("/admin/dead-letters").json()
    database.execute("ALTER TABLE dead_letter DROP CONSTRAINT dead_letter_state")
    database.execute("UPDATE dead_letter SET state = 'archived'")
    assert client.get(f"/admin/dead-letters/{letter['id']}").json()["state"] == "archived"
    answer = client.post(f"/admin/dead-letters/{letter['id']}/redrive")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/dead-letter-settled")
    evidence = client.post("/admin/evidence", json={"subjects": ["a"]})
    assert evidence.status_code == 200


def test_an_event_that_was_applied_by_another_delivery_is_not_applied_again(
    client: TestClient, consumer: Consumer, orders: Orders, database: Database
) -> None:
    bury(consumer, orders, record("a", 1, "the-event"))
    orders.broken.clear()
    consumer.work([record("a", 2, "the-event")])
    (letter,) = client.get("/admin/dead-letters").json()
    assert client.post(f"/admin/dead-letters/{letter['id']}/redrive").json()["outcome"] == "duplicate"
    assert seen(database) == {"a": 1}


def test_a_redrive_that_fails_again_changes_nothing_and_names_the_class(
    client: TestClient, consumer: Consumer, orders: Orders, database: Database
) -> None:
    bury(consumer, orders, record("a", 1))
    (letter,) = client.get("/admin/dead-letters").json()
    answer = client.post(f"/admin/dead-letters/{letter['id']}/redrive")
    assert (answer.status_code, answer.json()["detail"]) == (409, "It fails by LookupError.")
    assert SECRET not in answer.text
    assert (seen(database), audit(client)) == ({}, [])
    assert len(client.get("/admin/dead-letters").json()) == 1


def test_a_dry_run_tries_a_redrive_and_reports_its_outcome(
    client: TestClient, consumer: Consumer, orders: Orders, database: Database
) -> None:
    bury(consumer, orders, record("a", 1))
    (letter,) = client.get("/admin/dead-letters").json()
    dry = {"OMS-Dry-Run": "true"}
    assert client.post(f"/admin/dead-letters/{letter['id']}/redrive", headers=dry).status_code == 409
    orders.broken.clear()
    assert client.post(f"/admin/dead-letters/{letter['id']}/redrive", headers=dry).json()["outcome"] == "applied"
    assert (seen(database), audit(client)) == ({}, [])
    assert client.post(f"/admin/dead-letters/{letter['id']}/redrive").json()["outcome"] == "applied"


def test_letters_of_one_key_are_redriven_in_order_or_not_at_all(
    client: TestClient, consumer: Consumer, orders: Orders
) -> None:
    bury(consumer, orders, record("a", 1), record("b", 2), record("a", 3))
    orders.broken.clear()
    first, other, second = (one["id"] for one in client.get("/admin/dead-letters").json())
    assert client.post(f"/admin/dead-letters/{other}/redrive").status_code == 200
    answer = client.post(f"/admin/dead-letters/{second}/redrive")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/earlier-dead-letter")
    assert client.post(f"/admin/dead-letters/{first}/drop").json()["state"] == "dropped"
    assert client.post(f"/admin/dead-letters/{second}/redrive").status_code == 200


def test_a_dry_run_of_only_a_later_letter_is_refused_like_the_redrive(
    client: TestClient, consumer: Consumer, orders: Orders
) -> None:
    bury(consumer, orders, record("a", 1), record("a", 2), record("a", 3))
    orders.broken.clear()
    first, second, third = (one["id"] for one in client.get("/admin/dead-letters").json())
    bodies: list[dict[str, list[int]] | None] = [None, {"after": []}, {"after": [second]}]
    for body in bodies:
        answer = client.post(f"/admin/dead-letters/{third}/redrive", headers={"OMS-Dry-Run": "true"}, json=body)
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/earlier-dead-letter")
        assert f"Letter {first} is" in answer.json()["detail"]
    answer = client.post(f"/admin/dead-letters/{first}/redrive", json={"after": []})
    assert (answer.status_code, answer.json()["errors"]) == (422, [{"field": "after", "message": "is for a dry run"}])


def test_a_dry_run_of_a_later_letter_includes_the_earlier_ones(
    client: TestClient, consumer: Consumer, orders: Orders, database: Database
) -> None:
    """As in a redrive of all letters, which applies the earlier ones first."""
    dry = {"OMS-Dry-Run": "true"}
    bury(consumer, orders, record("a", 1), record("a", 2), record("a", 3))
    first, *later = (one["id"] for one in client.get("/admin/dead-letters").json())
    for letter in later:
        answer = client.post(f"/admin/dead-letters/{letter}/redrive", headers=dry, json={"after": [first, *later]})
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/earlier-dead-letter")
        assert f"Letter {first} is" in answer.json()["detail"]
    orders.broken.clear()
    for letter in (first, *later):
        answer = client.post(f"/admin/dead-letters/{letter}/redrive", headers=dry, json={"after": [first, *later]})
        assert answer.json()["outcome"] == "applied"
    assert (seen(database), audit(client), len(client.get("/admin/dead-letters").json())) == ({}, [], 3)
    for letter in later:
        assert client.post(f"/admin/dead-letters/{letter}/redrive").status_code == 409


def test_a_dry_run_tries_a_limited_number_of_earlier_letters(
    client: TestClient, consumer: Consumer, orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadletters, "REHEARSED", 1)
    bury(consumer, orders, record("a", 1), record("a", 2), record("a", 3))
    orders.broken.clear()
    dry, letters = {"OMS-Dry-Run": "true"}, [one["id"] for one in client.get("/admin/dead-letters").json()]
    answers = [
        client.post(f"/admin/dead-letters/{letter}/redrive", headers=dry, json={"after": letters}) for letter in letters
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 409]


def test_letters_are_listed_by_page_and_filter(client: TestClient, consumer: Consumer, orders: Orders) -> None:
    bury(consumer, orders, *(record(order, number) for number, order in enumerate("abc")))
    page = client.get("/admin/dead-letters?limit=2")
    assert [one["subject"] for one in page.json()] == ["a", "b"]
    assert [one["subject"] for one in client.get(page.links["next"]["url"]).json()] == ["c"]
    assert [one["subject"] for one in client.get("/admin/dead-letters?subject=b").json()] == ["b"]
    assert client.get(f"/admin/dead-letters?topic={ITEM_UPDATED.name}").json() == []
    assert len(client.get("/admin/dead-letters?error=LookupError").json()) == 3
    assert client.get("/admin/dead-letters?state=lost").status_code == 422


def test_an_unknown_letter_is_404(client: TestClient) -> None:
    for path in ("redrive", "drop", "reveal"):
        assert client.post(f"/admin/dead-letters/7/{path}").status_code == 404
    assert client.get("/admin/dead-letters/7").status_code == 404


def test_letters_that_are_too_old_are_deleted(database: Database, consumer: Consumer, orders: Orders) -> None:
    bury(consumer, orders, record("a", 1), record("b", 2))
    database.execute("UPDATE dead_letter SET dead_at = now() - interval '31 days' WHERE subject = 'a'")
    prune(database, deadletterstore.retention(30))
    assert [row.subject for row in deadletterstore.page(database, deadletterstore.Filters(), 0, 10)] == ["b"]
