"""The evidence that a service has about orders, and the audit log of acts."""

from starlette.testclient import TestClient
from support.admin import faults
from support.repairs import Orders, audit, bury, dead_job, quarantine, record

from oms_chassis.db import Database
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.telemetry.metrics import Metrics


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


def test_acts_on_events_and_calls_about_an_order_are_found_by_the_order(
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


def test_evidence_is_everything_that_a_service_has_about_waiting_orders(
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


def test_events_that_wait_in_kafka_for_any_replica_are_evidence_too(client: TestClient, unread: dict[str, int]) -> None:
    def evidence() -> object:
        return client.post("/admin/evidence", json={"subjects": ["a"]}).json()["unread"]

    assert evidence() == {}
    unread["things"] = 7
    assert evidence() == {"things": 7}
    unread["nowhere"] = 1
    assert evidence() is None


def test_a_service_reports_what_its_loops_do(client: TestClient, metrics: Metrics) -> None:
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


def test_no_request_to_the_operators_routes_makes_the_service_fail(client: TestClient) -> None:
    assert faults(client) == []
