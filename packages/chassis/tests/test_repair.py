"""What operators do about dead letters, jobs and quarantined events, by the admin API on a real database."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from support.admin import faults
from support.chassis import MemoryStream

from oms_chassis.admin import app as admin
from oms_chassis.admin import deadletters
from oms_chassis.admin.service import AdministeredService
from oms_chassis.db import Database, Transaction
from oms_chassis.jobs.dead import mark_dead
from oms_chassis.jobs.interventions import end_patience
from oms_chassis.jobs.leases import give_back, postpone, renew
from oms_chassis.jobs.queue import Done, Job, JobQueue, NewJob, Outcome, Paused, Retry, Waiting, claim, enqueue
from oms_chassis.jobs.settling import Call, Settlement
from oms_chassis.messaging import letters, outbox, processing
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.messaging.streams import Outgoing, Record, StreamUnavailable
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.retention import prune
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event
from oms_contracts.events import PaymentCompleted
from oms_contracts.parts import Customer, Line
from oms_contracts.topics import ITEM_UPDATED, PAYMENT_COMPLETED

TOKEN = "of-this-test-0123456789"
SECRET = "ann@example.com"
_SEE = """
INSERT INTO seen (item) SELECT item FROM json_to_recordset(%(rows)s::json) AS r(item text)
ON CONFLICT (item) DO UPDATE SET times = seen.times + 1
"""


class Orders:
    """A handler that fails for the orders that are broken."""

    def __init__(self) -> None:
        self.broken: set[str] = set()

    def __call__(self, transaction: Transaction, events: list[Event[Any]]) -> None:
        for event in events:
            transaction.run_rows(_SEE, [{"item": event.subject}])
        if any(event.subject in self.broken for event in events):
            raise LookupError(SECRET)


class Calls:
    """Job queues whose calls can be given up (`calls`), and cannot (`money`)."""

    def __init__(self) -> None:
        self.given_up: list[str] = []
        self.redriven: list[str] = []
        self.queues = [
            JobQueue("calls", lambda _: Done(), lambda *_: None, self._give_up, self._redrive),
            JobQueue("money", lambda _: Done(), lambda *_: None),
        ]

    def _give_up(self, _: Transaction, jobs: list[Job]) -> None:
        self.given_up += [job.payload["to"] for job in jobs]

    def _redrive(self, _: Transaction, jobs: list[Job]) -> None:
        self.redriven += [job.subject for job in jobs]


@pytest.fixture
def orders() -> Orders:
    return Orders()


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def subscription(orders: Orders) -> Subscription:
    return Subscription(PAYMENT_COMPLETED, orders)


@pytest.fixture
def consumer(
    database: Database, metrics: Metrics, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> Consumer:
    monkeypatch.setattr(processing, "RETRIES", (0.0,))
    return Consumer("toy", database, [subscription], MemoryStream, metrics)


@pytest.fixture
def unread() -> dict[str, int]:
    """What no replica has read, by topic; empty once all is read. Kafka is away while it holds `nowhere`."""
    return {}


@pytest.fixture
def client(
    database: Database, metrics: Metrics, subscription: Subscription, calls: Calls, unread: dict[str, int]
) -> Iterator[TestClient]:
    def counted(until: datetime) -> dict[str, int]:
        assert until < datetime.now(UTC) - timedelta(seconds=5)  # what came just now is on its way
        if "nowhere" in unread:
            raise StreamUnavailable
        return unread

    service = AdministeredService(
        "toy", database, [subscription], calls.queues, metrics.registry, states, unread=counted
    )
    made = admin.create(service, [], [], [TOKEN], Metrics(CollectorRegistry()))
    headers = {"Authorization": f"Bearer {TOKEN}", "OMS-Operator": "ann"}
    assert made is not None
    with TestClient(made, headers=headers, raise_server_exceptions=False) as client:
        yield client


def states(database: Database, subjects: Any) -> dict[str, str]:
    rows = database.execute("SELECT item FROM seen WHERE item = ANY(%(items)s)", items=list(subjects))
    return {row.item: "SEEN" for row in rows}


def record(order: str, offset: int, event_id: str | None = None) -> Record:
    data = PaymentCompleted(
        order_id=order,
        customer=Customer(name="Ann Other", email=SECRET, phone_number="+94771234567"),
        lines=[Line(item_id="Item1", name="Tea", quantity=1, unit_price=1250)],
        total=1250,
        currency="USD",
        payment_id="pay-1",
    )
    event = PAYMENT_COMPLETED.event(data, order, id=event_id or f"{order}:{offset}")
    return Record(PAYMENT_COMPLETED.name, 0, offset, order.encode(), event.encode().encode(), [("trace", b"x")])


def seen(database: Database) -> dict[str, int]:
    return {row.item: row.times for row in database.execute("SELECT item, times FROM seen")}


def audit(client: TestClient) -> list[tuple[str, str]]:
    return [(entry["action"], entry["subject"]) for entry in reversed(client.get("/admin/audit").json())]


def bury(consumer: Consumer, orders: Orders, *records: Record) -> None:
    orders.broken |= {(one.key or b"").decode() for one in records}
    consumer.work(records)


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
def test_an_act_is_about_an_id_that_is_written_as_it_is_shown(
    client: TestClient, consumer: Consumer, orders: Orders, written: str
) -> None:
    bury(consumer, orders, record("a", 1))
    (letter,) = client.get("/admin/dead-letters").json()
    for path in ("dead-letters/{}/drop", "outbox/{}/drop"):
        refused = client.post(f"/admin/{path}".format(written.format(letter["id"])))
        assert (refused.status_code, refused.json()["type"]) == (422, "/problems/invalid-request")
    assert client.get("/admin/dead-letters").json() == [letter]


def test_a_dead_letter_that_a_later_release_has_settled_in_a_way_of_its_own_is_listed_and_shown(
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


def test_a_dry_run_tries_a_redrive_and_says_what_would_become_of_it(
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


def test_letters_of_one_key_are_redriven_in_their_order_or_not_at_all(
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


def test_a_dry_run_of_a_later_letter_alone_is_refused_as_it_is(
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


def test_a_dry_run_of_a_later_letter_is_of_those_before_it_too(
    client: TestClient, consumer: Consumer, orders: Orders, database: Database
) -> None:
    """As when all are redriven: the real run has applied the earlier ones by then."""
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


def test_a_dry_run_tries_no_more_earlier_letters_than_so_many(
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


def test_what_a_letter_holds_is_masked_and_whoever_reveals_it_is_on_record(
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


def test_whoever_looks_is_on_record_also_in_a_dry_run(client: TestClient, consumer: Consumer, orders: Orders) -> None:
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


def test_what_may_be_a_customer_s_is_masked_wherever_it_is(client: TestClient, consumer: Consumer) -> None:
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
def test_what_is_private_is_masked_also_in_a_letter_s_key_and_headers(
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


def test_what_a_letter_adds_is_shown(client: TestClient, consumer: Consumer) -> None:
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


def test_bytes_that_are_no_json_are_shown_without_long_numbers(client: TestClient, consumer: Consumer) -> None:
    consumer.work([Record(PAYMENT_COMPLETED.name, 0, 1, b"\xff\x00", b"\xff not json 4242-4242-4242-4242")])
    (letter,) = client.get("/admin/dead-letters").json()
    assert letter["subject"] is None
    assert "bytes that are no JSON" in client.get(f"/admin/dead-letters/{letter['id']}").json()["value"]
    revealed = client.post(f"/admin/dead-letters/{letter['id']}/reveal").json()["value"]
    assert "not json ***" in revealed
    answer = client.post(f"/admin/dead-letters/{letter['id']}/redrive")
    assert answer.json()["detail"] == "It fails by ValidationError."


def test_letters_are_listed_by_page_and_filter(client: TestClient, consumer: Consumer, orders: Orders) -> None:
    bury(consumer, orders, *(record(order, number) for number, order in enumerate("abc")))
    page = client.get("/admin/dead-letters?limit=2")
    assert [one["subject"] for one in page.json()] == ["a", "b"]
    assert [one["subject"] for one in client.get(page.links["next"]["url"]).json()] == ["c"]
    assert [one["subject"] for one in client.get("/admin/dead-letters?subject=b").json()] == ["b"]
    assert client.get(f"/admin/dead-letters?topic={ITEM_UPDATED.name}").json() == []
    assert len(client.get("/admin/dead-letters?error=LookupError").json()) == 3
    assert client.get("/admin/dead-letters?state=lost").status_code == 422


def test_a_letter_that_there_is_not_is_404(client: TestClient) -> None:
    for path in ("redrive", "drop", "reveal"):
        assert client.post(f"/admin/dead-letters/7/{path}").status_code == 404
    assert client.get("/admin/dead-letters/7").status_code == 404


def test_letters_that_are_too_old_are_deleted(database: Database, consumer: Consumer, orders: Orders) -> None:
    bury(consumer, orders, record("a", 1), record("b", 2))
    database.execute("UPDATE dead_letter SET dead_at = now() - interval '31 days' WHERE subject = 'a'")
    prune(database, letters.retention(30))
    assert [row.subject for row in letters.page(database, letters.Filters(), 0, 10)] == ["b"]


def dead_job(database: Database, queue: str = "calls") -> None:
    with database.transaction() as transaction:
        enqueue(transaction, queue, [NewJob("a:call", "a", {"to": SECRET})])
        mark_dead(transaction, queue, [(job, "timeout") for job in claim(transaction, queue, 10, 60.0)])


def test_a_job_that_was_given_up_is_listed_without_what_it_carries_and_retried(
    client: TestClient, database: Database, calls: Calls
) -> None:
    dead_job(database)
    (job,) = client.get("/admin/jobs?state=dead").json()
    assert (job["queue"], job["subject"], job["lastError"], job["dueAt"]) == ("calls", "a", "timeout", None)
    assert SECRET not in json.dumps(job)
    answer = client.post("/admin/jobs/retry", json={"queue": "calls", "id": "a:call"})
    assert (answer.json()["failedCalls"], answer.json()["deadAt"]) == (0, None)
    assert calls.redriven == ["a"]
    assert client.get("/admin/jobs?state=dead").json() == []
    assert audit(client) == [("jobs.retry", "calls a:call")]


def test_a_job_that_waits_for_its_next_call_can_be_made_due(client: TestClient, database: Database) -> None:
    with database.transaction() as transaction:
        enqueue(transaction, "money", [NewJob("a:charge", "a", {})])
        postpone(transaction, "money", [(job, Retry("busy")) for job in claim(transaction, "money", 10, 60.0)])
    database.execute("UPDATE job SET run_at = now() + interval '1 hour'")
    (job,) = client.get("/admin/jobs?subject=a").json()
    assert (job["state"], job["lastError"]) == ("failing", "busy")
    client.post("/admin/jobs/retry", json={"queue": "money", "id": "a:charge"})
    with database.transaction() as transaction:
        assert [job.id for job in claim(transaction, "money", 10, 60.0)] == ["a:charge"]


def test_a_job_whose_call_is_under_way_is_left_to_end(client: TestClient, database: Database) -> None:
    """Made due, it would be another worker's at once: a customer would get the mail twice."""
    with database.transaction() as transaction:
        enqueue(transaction, "calls", [NewJob("a:call", "a", {})])
        claim(transaction, "calls", 10, 20.0)
    answer = client.post("/admin/jobs/retry", json={"queue": "calls", "id": "a:call"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/call-under-way")
    with database.transaction() as transaction:
        assert claim(transaction, "calls", 10, 20.0) == []
    database.execute("UPDATE job SET outcome = '{}'")  # it was made, and is only to be settled
    assert client.post("/admin/jobs/retry", json={"queue": "calls", "id": "a:call"}).status_code == 200
    assert audit(client) == [("jobs.retry", "calls a:call")]


NOT_OVER = (Waiting(5.0), Paused("login"), Retry("busy"))


@pytest.fixture
def waiting(database: Database, metrics: Metrics, calls: Calls, outcome: Outcome) -> Job:
    """A job whose second call has ended, and that waits for its next one: it comes due within a lease."""
    queue = calls.queues[0]
    with database.transaction() as transaction:
        enqueue(transaction, "calls", [NewJob("a:call", "a", {"to": SECRET})])
        claim(transaction, "calls", 10, 0.0)  # its worker died
    with database.transaction() as transaction:
        (job,) = claim(transaction, "calls", 10, queue.lease_seconds)
    Settlement(queue, database, metrics).settle([Call(job, outcome)])
    return job


@pytest.mark.parametrize("outcome", NOT_OVER, ids=repr)
@pytest.mark.usefixtures("waiting")
def test_a_job_that_waits_for_its_next_call_is_made_due_however_soon_it_would_be(
    client: TestClient, database: Database
) -> None:
    assert client.post("/admin/jobs/retry", json={"queue": "calls", "id": "a:call"}).status_code == 200
    with database.transaction() as transaction:
        assert [job.attempts for job in claim(transaction, "calls", 10, 20.0)] == [3]
    assert client.post("/admin/jobs/retry", json={"queue": "calls", "id": "a:call"}).status_code == 409


@pytest.mark.parametrize("outcome", NOT_OVER, ids=repr)
@pytest.mark.usefixtures("waiting")
def test_a_job_that_was_cancelled_between_two_calls_can_be_retried_at_once(client: TestClient, calls: Calls) -> None:
    for act in ("cancel", "retry"):
        assert client.post(f"/admin/jobs/{act}", json={"queue": "calls", "id": "a:call"}).status_code == 200
    assert calls.redriven == ["a"]


@pytest.mark.parametrize("outcome", [*NOT_OVER, None], ids=repr)
def test_a_job_that_was_cancelled_during_its_call_can_be_retried_once_that_has_ended(
    client: TestClient, database: Database, metrics: Metrics, calls: Calls, outcome: Outcome | None
) -> None:
    chosen, queue = {"queue": "calls", "id": "a:call"}, calls.queues[0]
    with database.transaction() as transaction:
        enqueue(transaction, "calls", [NewJob("a:call", "a", {"to": SECRET})])
        (job,) = claim(transaction, "calls", 10, queue.lease_seconds)
    client.post("/admin/jobs/cancel", json=chosen)
    assert client.post("/admin/jobs/retry", json=chosen).status_code == 409
    if outcome is None:  # it has not begun, and is not to
        with database.transaction() as transaction:
            give_back(transaction, "calls", [job])
    else:
        Settlement(queue, database, metrics).settle([Call(job, outcome)])
    assert client.post("/admin/jobs/retry", json=chosen).status_code == 200
    assert calls.redriven == ["a"]


def test_a_call_that_is_under_way_after_patience_has_ended_is_left_to_end(
    client: TestClient, database: Database
) -> None:
    """It counts as one that has failed a hundred times, and has been made once."""
    with database.transaction() as transaction:
        enqueue(transaction, "money", [NewJob("a:charge", "a", {})])
    with database.transaction() as transaction:
        end_patience(transaction, "money", "a")
    with database.transaction() as transaction:
        claim(transaction, "money", 10, 20.0)
    answer = client.post("/admin/jobs/retry", json={"queue": "money", "id": "a:charge"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/call-under-way")


def test_a_job_is_cancelled_as_if_it_had_been_given_up(client: TestClient, database: Database, calls: Calls) -> None:
    with database.transaction() as transaction:
        enqueue(transaction, "calls", [NewJob("a:call", "a", {"to": SECRET})])
    for _ in range(2):
        answer = client.post("/admin/jobs/cancel", json={"queue": "calls", "id": "a:call"})
        assert (answer.json()["state"], answer.json()["lastError"]) == ("dead", "cancelled by an operator")
    assert calls.given_up == [SECRET]


def test_a_job_that_was_cancelled_is_not_made_twice_while_its_call_is_under_way(
    client: TestClient, database: Database, calls: Calls
) -> None:
    chosen = {"queue": "calls", "id": "a:call"}
    with database.transaction() as transaction:
        enqueue(transaction, "calls", [NewJob("a:call", "a", {"to": SECRET})])
        under_way = claim(transaction, "calls", 10, 20.0)
    assert client.post("/admin/jobs/cancel", json=chosen).json()["state"] == "dead"
    with database.transaction() as transaction:
        renew(transaction, "calls", under_way, 10.0)
    (job,) = client.get("/admin/jobs?state=dead").json()
    assert datetime.fromisoformat(job["deadAt"]) <= datetime.now(UTC)
    answer = client.post("/admin/jobs/retry", json=chosen)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/call-under-way")
    assert calls.redriven == []
    database.execute("UPDATE job SET dead_at = dead_at - interval '10 seconds'")  # the end of its lease
    assert client.post("/admin/jobs/retry", json=chosen).status_code == 200
    assert calls.redriven == ["a"]


def test_a_job_that_moves_money_is_not_cancelled(client: TestClient, database: Database) -> None:
    with database.transaction() as transaction:
        enqueue(transaction, "money", [NewJob("a:charge", "a", {})])
    answer = client.post("/admin/jobs/cancel", json={"queue": "money", "id": "a:charge"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/job-not-cancellable")


@pytest.mark.parametrize("act", ["retry", "cancel"])
def test_a_job_that_there_is_not_is_404(client: TestClient, act: str) -> None:
    for queue in ("calls", "none"):
        assert client.post(f"/admin/jobs/{act}", json={"queue": queue, "id": "none"}).status_code == 404


def test_jobs_are_listed_by_page(client: TestClient, database: Database) -> None:
    with database.transaction() as transaction:
        enqueue(transaction, "calls", [NewJob(one, one, {}) for one in "abc"])
    page = client.get("/admin/jobs?limit=2")
    assert [one["id"] for one in page.json()] == ["a", "b"]
    assert [one["id"] for one in client.get(page.links["next"]["url"]).json()] == ["c"]


def quarantine(database: Database, key: bytes) -> int:
    with database.transaction() as transaction:
        outbox.emit_records(transaction, [Outgoing("toy.deadletter", key, b"value")])
    (row,) = database.execute("SELECT id FROM outbox")
    with database.engine.begin() as connection:
        outbox.quarantine(connection, row, "RecordTooLarge")
    return int(row.id)


def test_a_quarantined_event_is_listed_and_put_back_into_the_outbox(client: TestClient, database: Database) -> None:
    row = quarantine(database, b"a")
    (found,) = client.get("/admin/outbox?subject=a").json()
    assert (found["id"], found["subject"], found["error"]) == (row, "a", "RecordTooLarge")
    assert client.post(f"/admin/outbox/{row}/redrive").json()["id"] == row
    assert [bytes(one.key) for one in database.execute("SELECT key FROM outbox")] == [b"a"]
    assert client.post(f"/admin/outbox/{row}/redrive").status_code == 404
    assert audit(client) == [("outbox.redrive", str(row))]


def test_a_quarantined_event_of_any_key_can_be_dropped(client: TestClient, database: Database) -> None:
    row = quarantine(database, b"\xff\x00")
    assert client.get("/admin/outbox").json()[0]["subject"] == r"\377\000"
    assert client.post(f"/admin/outbox/{row}/drop", headers={"OMS-Dry-Run": "true"}).status_code == 200
    assert client.post(f"/admin/outbox/{row}/drop").status_code == 200
    assert client.get("/admin/outbox").json() == []
    assert database.execute("SELECT FROM outbox") == []


def test_an_id_of_our_own_is_on_record_however_long_it_is(
    client: TestClient, consumer: Consumer, orders: Orders, database: Database
) -> None:
    first, last = 12_345_678, 4_111_111_111_111_111
    database.execute(f"ALTER TABLE dead_letter ALTER id RESTART WITH {first}")
    bury(consumer, orders, record("a", 1))
    assert client.post(f"/admin/dead-letters/{first}/reveal").status_code == 200
    assert client.post(f"/admin/dead-letters/{first}/drop").status_code == 200
    database.execute("DELETE FROM outbox")
    database.execute(f"ALTER TABLE outbox ALTER id RESTART WITH {last}")
    assert client.post(f"/admin/outbox/{quarantine(database, b'a')}/drop").status_code == 200
    assert audit(client) == [
        ("deadletters.reveal", str(first)),
        ("deadletters.drop", str(first)),
        ("outbox.drop", str(last)),
    ]


def test_what_was_done_to_events_and_calls_about_an_order_is_found_by_the_order(
    client: TestClient, consumer: Consumer, orders: Orders, database: Database
) -> None:
    bury(consumer, orders, record("a", 1), record("b", 2))
    orders.broken.clear()
    letters = [one["id"] for one in client.get("/admin/dead-letters").json()]
    for letter in letters:
        assert client.post(f"/admin/dead-letters/{letter}/redrive").status_code == 200
    database.execute("DELETE FROM outbox")  # where the consumer has put what is published of the letters
    assert client.post(f"/admin/outbox/{quarantine(database, b'a')}/drop").status_code == 200
    found = client.get("/admin/audit?subject=a").json()
    assert [one["action"] for one in found] == ["outbox.drop", "deadletters.redrive"]
    assert client.get(f"/admin/audit?subject={letters[1]}").json()[0]["after"]["subject"] == "b"
    newest = client.get("/admin/audit?subject=a&limit=1")
    older = client.get(newest.links["next"]["url"]).json()
    assert [one["id"] for one in newest.json() + older] == [one["id"] for one in found]


def test_evidence_is_all_that_a_service_has_about_orders_that_wait(
    client: TestClient, consumer: Consumer, orders: Orders, database: Database
) -> None:
    consumer.work([record("known", 1)])
    bury(consumer, orders, record("a", 2))
    dead_job(database)
    evidence = client.post("/admin/evidence", json={"subjects": ["a", "known", "other"]}).json()
    assert evidence["states"] == {"known": "SEEN"}
    assert [one["subject"] for one in evidence["deadLetters"]] == ["a"]
    assert [(one["subject"], one["state"]) for one in evidence["jobs"]] == [("a", "dead")]
    assert [one["topic"] for one in evidence["unsent"]] == ["toy.deadletter"]
    assert evidence["quarantined"] == []


def test_what_waits_in_kafka_for_any_replica_is_evidence_too(client: TestClient, unread: dict[str, int]) -> None:
    def evidence() -> object:
        return client.post("/admin/evidence", json={"subjects": ["a"]}).json()["unread"]

    assert evidence() == {}
    unread["things"] = 7
    assert evidence() == {"things": 7}
    unread["nowhere"] = 1
    assert evidence() is None


def test_a_service_says_what_its_loops_do(client: TestClient, metrics: Metrics) -> None:
    metrics.consumer_running.set(1)
    metrics.consumer_paused.set(1)
    metrics.damaged.set(2)
    metrics.queue_paused.labels("money").set(1)
    condition = client.get("/admin/condition").json()
    assert condition == {
        "service": "toy",
        "consumerRunning": True,
        "consumerPaused": True,
        "batchDamaged": True,
        "topicRefused": False,
        "relayLeads": False,
        "pausedQueues": ["money"],
        "deadLetters": 0,
        "quarantined": 0,
    }


def test_nothing_that_is_sent_to_operators_routes_is_a_fault_of_the_service(client: TestClient) -> None:
    assert faults(client) == []
