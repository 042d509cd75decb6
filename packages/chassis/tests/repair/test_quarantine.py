"""Events that no broker accepted are put back, or dropped."""

from starlette.testclient import TestClient
from support.repairs import audit, quarantine

from oms_chassis.db import Database


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
