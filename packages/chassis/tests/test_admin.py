"""The admin API needs a token, and every act is on record."""

from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from fastapi import APIRouter
from pydantic import ValidationError
from starlette.testclient import TestClient

from oms_chassis.admin import app as admin
from oms_chassis.admin import audit
from oms_chassis.admin.acts import Act
from oms_chassis.admin.service import Administered, AdministeredService
from oms_chassis.db import Database
from oms_chassis.settings import Settings
from oms_chassis.telemetry.metrics import Metrics

OLD, NEW = "an-old-token-0123456789", "a-new-token-0123456789"
ANN = {"Authorization": f"Bearer {NEW}", "OMS-Operator": "ann"}
router = APIRouter(prefix="/admin")


@router.post("/items/{item}")
def repair(item: str, act: Act, service: Administered) -> dict[str, str]:
    with act.transaction(service.database) as transaction:
        transaction.execute("INSERT INTO seen (item) VALUES (%(item)s)", item=item)
        act.record(transaction, "items.repair", item, {"times": 0}, {"times": 1})
    return {"item": item}


@pytest.fixture
def client(database: Database, metrics: Metrics) -> Iterator[TestClient]:
    made = admin.create(AdministeredService("toy", database), [router], [], [OLD, NEW], metrics)
    assert made is not None
    with TestClient(made, raise_server_exceptions=False) as client:
        yield client


def items(database: Database) -> list[str]:
    return [row.item for row in database.execute("SELECT item FROM seen ORDER BY item")]


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {NEW}", NEW, f"Bearer {NEW}x", f"Bearer {OLD},{NEW}"],
)
def test_nobody_gets_in_without_a_token(client: TestClient, database: Database, header: str | None) -> None:
    headers = {"OMS-Operator": "ann"} | ({} if header is None else {"Authorization": header})
    for answer in (client.post("/admin/items/a", headers=headers), client.get("/admin/openapi.json", headers=headers)):
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json()["type"] == "/problems/unauthenticated"
    assert items(database) == []


def test_two_authorization_headers_are_refused(client: TestClient) -> None:
    both = [("Authorization", f"Bearer {NEW}"), ("Authorization", f"Bearer {NEW}")]
    assert client.get("/admin/audit", headers=both).status_code == 401


def test_during_a_rotation_each_token_is_accepted(client: TestClient) -> None:
    for token in (OLD, NEW):
        assert client.get("/admin/audit", headers={"Authorization": f"bearer {token}"}).json() == []


def test_without_a_token_there_is_no_admin_api(database: Database, metrics: Metrics) -> None:
    assert admin.create(AdministeredService("toy", database), [router], [], [], metrics) is None


@pytest.mark.parametrize("given", ["short", f"{NEW},short", "ä" * 30])
def test_a_token_that_could_be_guessed_is_refused(given: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(database_url="postgresql://x", kafka_bootstrap="x", admin_token=given)
    assert given not in str(refused.value)


def test_tokens_are_separated_by_commas_and_an_empty_setting_is_none() -> None:
    def tokens(given: str) -> list[str]:
        settings = Settings(database_url="postgresql://x", kafka_bootstrap="x", admin_token=given)
        return list(settings.admin_tokens)

    assert tokens(f"{OLD}, {NEW}") == [OLD, NEW]
    assert tokens("") == []


def test_an_act_is_on_record_with_who_and_why_and_what_it_changed(client: TestClient) -> None:
    act = ANN | {"OMS-Operator": "Ann%20%C3%96zil", "OMS-Reason": "broken%20by%20a%20release"}
    assert client.post("/admin/items/a", headers=act).json() == {"item": "a"}
    (entry,) = client.get("/admin/audit", headers=ANN).json()
    assert {name: entry[name] for name in ("operator", "action", "subject", "reason", "before", "after")} == {
        "operator": "Ann Özil",
        "action": "items.repair",
        "subject": "a",
        "reason": "broken by a release",
        "before": {"times": 0},
        "after": {"times": 1},
    }


def test_a_request_meant_for_another_service_is_refused(client: TestClient, database: Database) -> None:
    """All services have letters and jobs with the same ids, and an address may lead to the wrong service."""
    for meant in ("payment", ""):
        for method, path in (("POST", "/admin/items/a"), ("GET", "/admin/audit")):
            answer = client.request(method, path, headers=ANN | {"OMS-Service": meant})
            assert (answer.status_code, answer.json()["type"]) == (421, "/problems/wrong-service")
            assert "toy" in answer.json()["detail"]
    assert items(database) == []
    assert client.post("/admin/items/a", headers=ANN | {"OMS-Service": "toy"}).status_code == 200


def test_without_a_token_nobody_learns_which_service_it_is(client: TestClient) -> None:
    assert client.get("/admin/audit", headers={"OMS-Service": "payment"}).status_code == 401


def test_an_act_that_fails_leaves_no_entry(client: TestClient, database: Database) -> None:
    assert client.post("/admin/items/a", headers=ANN).status_code == 200
    assert client.post("/admin/items/a", headers=ANN).status_code >= 400
    assert len(client.get("/admin/audit", headers=ANN).json()) == 1
    assert items(database) == ["a"]


def test_a_dry_run_answers_like_the_act_and_changes_nothing(client: TestClient, database: Database) -> None:
    answer = client.post("/admin/items/a", headers=ANN | {"OMS-Dry-Run": "true"})
    assert (answer.status_code, answer.json()) == (200, {"item": "a"})
    assert items(database) == []
    assert client.get("/admin/audit", headers=ANN).json() == []


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"OMS-Operator": ""}, "OMS-Operator"),
        ({"OMS-Operator": "%20"}, "OMS-Operator"),
        ({"OMS-Operator": "a" * 101}, "OMS-Operator"),
        ({"OMS-Operator": "a%0Ab"}, "OMS-Operator"),
        ({"OMS-Operator": "%ff"}, "OMS-Operator"),
        ({"OMS-Operator": "%00"}, "OMS-Operator"),
        ({"OMS-Operator": "%E3%85%A4"}, "OMS-Operator"),  # a letter that is drawn as nothing
        ({"OMS-Operator": "%E2%80%AEnna"}, "OMS-Operator"),  # written from right to left
        ({"OMS-Operator": "%E2%80%8D"}, "OMS-Operator"),  # a joiner of nothing
        ({"OMS-Operator": "%EE%80%80"}, "OMS-Operator"),  # a character of nobody knows what
        ({"OMS-Reason": "a" * 501}, "OMS-Reason"),
        ({"OMS-Reason": "asked by ann@example.com"}, "OMS-Reason"),
        ({"OMS-Reason": "asked%20by%20ann%EF%BC%A0example.com"}, "OMS-Reason"),  # with an @ of full width
        ({"OMS-Reason": "asked%20by%20%2B94%2076%20222%201111"}, "OMS-Reason"),
        ({"OMS-Reason": "paid%20by%204111%201111%201111%201111"}, "OMS-Reason"),
    ],
)
def test_an_act_without_an_operator_or_with_an_unsuitable_reason_is_refused(
    client: TestClient, database: Database, headers: dict[str, str], field: str
) -> None:
    answer = client.post("/admin/items/a", headers=ANN | headers)
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])
    assert "ann@" not in answer.text
    assert "1111" not in answer.text
    assert items(database) == []


@pytest.mark.parametrize("text", ["ශ්‍රී", "نمی‌شود", "返金　済み", "déjà\N{NO-BREAK SPACE}: vu", "👩‍💻", "Zoé"], ids=ascii)
def test_operator_and_reason_may_be_in_any_script(client: TestClient, text: str) -> None:
    act = ANN | {"OMS-Operator": quote(text), "OMS-Reason": quote(text)}
    assert client.post("/admin/items/a", headers=act).status_code == 200
    (entry,) = client.get("/admin/audit", headers=ANN).json()
    assert (entry["operator"], entry["reason"]) == (text, text)


@pytest.mark.parametrize("name", ["OMS-DryRun", "oms_dry_run", "X-OMS-Dry-Run", "Dry-Run", "OMS-Reasons", "OMS-User"])
def test_a_misspelt_dry_run_is_not_the_act_itself(client: TestClient, database: Database, name: str) -> None:
    answer = client.post("/admin/items/a", headers=ANN | {name: "true"})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
    assert "OMS-Dry-Run" in answer.json()["errors"][0]["message"]
    assert items(database) == []


@pytest.mark.parametrize("name", ["OMS-Operator", "OMS-Reason", "OMS-Dry-Run"])
def test_an_act_has_one_operator_and_one_reason(client: TestClient, database: Database, name: str) -> None:
    """A client cannot add an operator to the one that the proxy in front of the admin API sends."""
    answer = client.post("/admin/items/a", headers=[*(ANN | {name: "true"}).items(), (name, "false")])
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/repeated-header")
    assert [error["field"] for error in answer.json()["errors"]] == [name]
    assert items(database) == []


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_log SET operator = 'bob'", "DELETE FROM audit_log", "TRUNCATE audit_log"]
)
def test_the_database_itself_protects_the_audit_log(database: Database, statement: str) -> None:
    with database.transaction() as transaction:
        audit.record(transaction, [audit.Entry("ann", "items.repair", "a")])
    with (
        psycopg.connect(database._url) as owner,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"),
    ):
        owner.execute(statement.encode())
    assert len(database.execute("SELECT FROM audit_log WHERE operator = 'ann'")) == 1


def test_the_audit_log_is_read_by_page_and_filter(client: TestClient) -> None:
    for item in "abc":
        client.post(f"/admin/items/{item}", headers=ANN)
    page = client.get("/admin/audit?limit=2", headers=ANN)
    assert [entry["subject"] for entry in page.json()] == ["c", "b"]
    after = client.get(page.links["next"]["url"], headers=ANN)
    assert ([entry["subject"] for entry in after.json()], after.links) == (["a"], {})
    assert [one["subject"] for one in client.get("/admin/audit?subject=b", headers=ANN).json()] == ["b"]
    assert client.get("/admin/audit?operator=bob", headers=ANN).json() == []
    assert client.get("/admin/audit?cursor=x", headers=ANN).status_code == 422
    assert client.get(f"/admin/audit?{urlsplit(page.links['next']['url']).query}&operator=ann", headers=ANN).json()


@pytest.mark.parametrize("path", ["/admin/dead-letters", "/admin/outbox", "/admin/jobs"])
def test_a_cursor_is_valid_for_one_list_only(client: TestClient, path: str) -> None:
    """In another list, elements before it would be missed."""
    for item in "ab":
        client.post(f"/admin/items/{item}", headers=ANN)
    link = client.get("/admin/audit?limit=1", headers=ANN).links["next"]["url"]
    answer = client.get(link.replace("/admin/audit", path), headers=ANN)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/bad-cursor")
