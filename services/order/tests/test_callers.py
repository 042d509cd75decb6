"""Who may do what with orders: every route for every kind of caller, and what callers do not share."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from support.callers import (
    IDENTIFIED,
    OPERATOR,
    OTHER,
    OWNER,
    SORTS,
    Callers,
    callers,
    expected,
    name_of,
    scopes_of,
    status_and_body,
)
from support.chassis import as_of, eventually
from support.issuer import LocalIssuer, local_issuer

from oms_chassis import migrations
from oms_chassis.db import Database
from oms_chassis.http.identity.requirements import Requirement, requirements
from oms_contracts.ids import new_id
from oms_contracts.parts import ERASED
from oms_order import admin
from oms_order.requests import SAMPLE

# How each route is called, with the body it takes; `{order_id}` is an order of the owner's.
REQUESTS: dict[str, Any] = {
    "POST /order": SAMPLE,
    "GET /order": None,
    "GET /order/{order_id}": None,
    "GET /order/{order_id}/events": None,
    "POST /order/{order_id}/cancel": {"reason": "Too many"},
    "POST /order/{order_id}/refund": {"amount": 1},
}
REFUND = "POST /order/{order_id}/refund"


@pytest.fixture(scope="module")
def issuer() -> Iterator[LocalIssuer]:
    with local_issuer() as issuer:
        yield issuer


@pytest.fixture
def service(start: Callable[..., Any], issuer: LocalIssuer) -> Any:
    """A replica that authenticates callers, by keys and by tokens."""
    running = start(**{**issuer.settings, "auth": ("api-key", "jwt"), "key_cache_seconds": 0.2})
    eventually(lambda: running.client.get("/order", headers=_bearer(issuer.token("x"))).status_code == 403)
    return running


@pytest.fixture
def asked(service: Any) -> list[Requirement]:
    return requirements([route for router in service.components.routers for route in router.routes])


@pytest.fixture
def sorts(issuer: LocalIssuer, database: Database, asked: list[Requirement]) -> Callers:
    database.execute("TRUNCATE api_key")
    return callers(issuer, database, scopes_of(asked))


def _bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


def place(service: Any, headers: dict[str, str], **more: str) -> str:
    answer = service.client.post("/order", json=SAMPLE, headers={**headers, **more})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def listed(service: Any, headers: dict[str, str], **query: str) -> list[str]:
    return [order["id"] for order in service.client.get("/order", headers=headers, params=query).json()]


def confirm(database: Database, order: str) -> None:
    database.execute("UPDATE orders SET status = 'CONFIRMED' WHERE id = %(id)s", id=order)


def test_every_route_gives_every_sort_of_caller_what_is_its_due(
    service: Any, database: Database, asked: list[Requirement], sorts: Callers
) -> None:
    assert {name_of(one) for one in asked} == set(REQUESTS), "say in REQUESTS how a new route is called"
    wrong = []
    for one in asked:
        (method,) = one.methods
        for sort in SORTS:
            for way in ("token", "key") if sort in IDENTIFIED else ("token",):
                order = place(service, sorts.headers(OWNER))
                if name_of(one) == REFUND:  # of what is confirmed, and everything else of what is not yet
                    confirm(database, order)
                path = one.route.path.replace("{order_id}", order)
                headers = sorts.headers(sort, way)
                status, answered, body = status_and_body(service.client, method, path, headers, REQUESTS[name_of(one)])
                if status not in expected(one, sort, is_somebody_s="{order_id}" in one.route.path):
                    wrong.append((name_of(one), sort, way, status))
                if status in {401, 403}:
                    assert answered["content-type"] == "application/problem+json"
                    assert answered["www-authenticate"].startswith('Bearer realm="oms"')
                    assert OWNER.encode() not in body
                assert status in {202, 403, 404} or sort != OTHER or order.encode() not in body
    assert wrong == []


def test_another_s_order_is_answered_as_one_that_does_not_exist(
    service: Any, asked: list[Requirement], sorts: Callers
) -> None:
    order, nothing = place(service, sorts.headers(OWNER)), str(new_id())
    for one in asked:
        (method,) = one.methods
        if "{order_id}" in one.route.path:
            answers = [
                status_and_body(
                    service.client, method, one.route.path.replace("{order_id}", about), sorts.headers(OTHER), None
                )
                for about in (order, nothing)
            ]
            assert [status for status, _, _ in answers] == [403 if OPERATOR in one.scopes else 404] * 2
            assert answers[0][2] == answers[1][2]


def test_head_and_options_say_no_more_than_get_of_an_order_and_to_nobody_else(service: Any, sorts: Callers) -> None:
    order, nothing = place(service, sorts.headers(OWNER)), str(new_id())
    for sort in SORTS:
        headers = sorts.headers(sort)
        for path in ("/order", f"/order/{order}", f"/order/{nothing}"):
            head, get = (service.client.request(method, path, headers=headers) for method in ("HEAD", "GET"))
            assert (head.status_code, head.content) == (get.status_code, b""), (sort, path)
        asked = [service.client.options(f"/order/{one}", headers=headers) for one in (order, nothing)]
        assert asked[0].status_code == asked[1].status_code
        assert asked[0].content == asked[1].content


def test_a_list_has_the_caller_s_own_orders_and_an_operator_s_has_all(
    service: Any, database: Database, sorts: Callers
) -> None:
    mine, other_s = place(service, sorts.headers(OWNER)), place(service, sorts.headers(OTHER, "key"))
    database.execute("UPDATE orders SET owner = NULL WHERE id = %(id)s", id=other_s)
    other_s_second = place(service, sorts.headers(OTHER))
    assert listed(service, sorts.headers(OWNER)) == listed(service, sorts.headers(OWNER, "key")) == [mine]
    assert listed(service, sorts.headers(OTHER)) == [other_s_second]
    assert listed(service, sorts.headers(OTHER), email=SAMPLE["customer"]["email"]) == [other_s_second]
    assert listed(service, sorts.headers(OPERATOR)) == [other_s_second, other_s, mine]


def test_a_caller_without_a_name_of_its_own_sees_nothing_that_has_no_owner(
    service: Any, database: Database, sorts: Callers
) -> None:
    """Orders that were placed without authentication belong to nobody, not to everybody."""
    order = place(service, sorts.headers(OWNER))
    database.execute("UPDATE orders SET owner = NULL")
    for sort in (OWNER, OTHER):
        assert listed(service, sorts.headers(sort)) == []
        assert service.client.get(f"/order/{order}", headers=sorts.headers(sort)).status_code == 404
    assert service.client.get(f"/order/{order}", headers=sorts.headers(OPERATOR)).status_code == 200


ANN = "ann@example.com"
SCOPES = ("orders:place", "orders:read", "orders:act", OPERATOR)


def anns(database: Database) -> set[str]:
    """The tables that have anything of Ann's."""
    sql = "SELECT FROM {table} AS found WHERE found::text LIKE '%%' || %(text)s || '%%'"
    tables = [row.name for row in database.execute("SELECT relname AS name FROM pg_stat_user_tables")]
    return {table for table in tables if database.execute(sql.format(table=table), text=ANN)}


def test_who_placed_an_order_is_erased_with_its_customer_and_nobody_else_sees_it_then(
    service: Any, database: Database, issuer: LocalIssuer, sorts: Callers
) -> None:
    """The subject of a token may be an address."""
    headers = _bearer(issuer.token(ANN, *SCOPES))
    order = place(service, headers, **{"Idempotency-Key": "a"})
    database.execute("UPDATE orders SET status = 'CONFIRMED'")
    assert service.client.post(f"/order/{order}/refund", headers=headers, json={"amount": 1}).status_code == 202
    database.execute("UPDATE refund SET status = 'FAILED'")
    assert anns(database) == {"orders", "timeline", "refund", "idempotency"}
    with database.transaction() as transaction:
        assert admin.erase(transaction, [order]) == 1
    assert anns(database) == set()
    assert listed(service, sorts.headers(OPERATOR)) == [order]
    for other in (sorts.headers(OWNER), _bearer(issuer.token(ANN, "orders:read"))):
        assert listed(service, other) == []
        assert service.client.get(f"/order/{order}", headers=other).status_code == 404


def migrate(database: Database, _order: str) -> None:
    as_of(database, "oms_order", "0012")
    migrations.upgrade(database, "oms_order")


def erase_again(database: Database, order: str) -> None:
    with database.transaction() as transaction:
        assert admin.erase(transaction, [order]) == 1


@pytest.mark.parametrize("repair", [migrate, erase_again])
def test_who_placed_an_order_that_an_earlier_release_erased_is_erased_later(
    service: Any, database: Database, issuer: LocalIssuer, repair: Callable[[Database, str], None]
) -> None:
    headers = _bearer(issuer.token(ANN, *SCOPES))
    order = place(service, headers)
    database.execute("UPDATE orders SET status = 'CONFIRMED'")
    assert service.client.post(f"/order/{order}/refund", headers=headers, json={"amount": 1}).status_code == 202
    database.execute("UPDATE refund SET status = 'FAILED'")
    database.execute("UPDATE orders SET email = %(erased)s", erased=ERASED)
    assert anns(database) == {"orders", "timeline", "refund"}
    repair(database, order)
    assert anns(database) == set()


def test_keys_of_different_callers_have_nothing_to_do_with_each_other(service: Any, sorts: Callers) -> None:
    key = {"Idempotency-Key": "the-same"}
    first = place(service, sorts.headers(OWNER), **key)
    assert place(service, sorts.headers(OWNER, "key"), **key) == first
    other_s = place(service, sorts.headers(OTHER), **key)
    assert other_s != first
    assert place(service, sorts.headers(OTHER), **key) == other_s
    another = {**SAMPLE, "items": [{"id": "Item2", "quantity": 1}]}
    refused = service.client.post("/order", json=another, headers={**sorts.headers(OTHER), **key})
    assert refused.status_code == 422


def test_a_cursor_is_for_the_caller_who_got_it(service: Any, sorts: Callers) -> None:
    for sort in (OWNER, OTHER) * 2:
        place(service, sorts.headers(sort))
    first = service.client.get("/order", params={"limit": 1}, headers=sorts.headers(OWNER))
    following = first.links["next"]["url"]
    assert len(service.client.get(following, headers=sorts.headers(OWNER, "key")).json()) == 1
    for sort in (OTHER, OPERATOR):
        refused = service.client.get(following, headers=sorts.headers(sort))
        assert (refused.status_code, refused.json()["type"]) == (422, "/problems/bad-cursor")


def test_the_timeline_says_who_placed_an_order(service: Any, sorts: Callers) -> None:
    order = place(service, sorts.headers(OWNER))
    (step,) = service.client.get(f"/order/{order}", headers=sorts.headers(OPERATOR)).json()["timeline"]
    assert (step["status"], step["actor"]) == ("PENDING", OWNER)


def test_the_timeline_says_who_cancelled_an_order_and_another_s_attempt_changes_nothing(
    service: Any, sorts: Callers
) -> None:
    order, key = place(service, sorts.headers(OWNER)), {"Idempotency-Key": "the-same"}
    before = service.client.get(f"/order/{order}", headers=sorts.headers(OWNER)).json()
    refused = service.client.post(f"/order/{order}/cancel", headers={**sorts.headers(OTHER), **key})
    assert refused.status_code == 404
    assert service.client.get(f"/order/{order}", headers=sorts.headers(OWNER)).json() == before
    cancelled = service.client.post(f"/order/{order}/cancel", headers={**sorts.headers(OPERATOR), **key})
    assert cancelled.status_code == 202
    assert [step.get("actor") for step in cancelled.json()["timeline"]] == [OWNER, OPERATOR]
    again = service.client.post(f"/order/{order}/cancel", headers={**sorts.headers(OTHER), **key})
    assert again.status_code == 404, "an answer that another caller's key has got is not given away"


def test_the_timeline_says_who_refunded_an_order_and_keys_are_the_caller_s_own(
    service: Any, database: Database, sorts: Callers
) -> None:
    order, key = place(service, sorts.headers(OWNER)), {"Idempotency-Key": "the-same"}
    confirm(database, order)
    path = f"/order/{order}/refund"
    assert service.client.post(path, json={"amount": 1}, headers={**sorts.headers(OWNER), **key}).status_code == 403
    made = service.client.post(path, json={"amount": 1, "reason": "late"}, headers={**sorts.headers(OPERATOR), **key})
    assert (made.status_code, made.json()["actor"]) == (202, OPERATOR)
    shown = service.client.get(f"/order/{order}", headers=sorts.headers(OWNER)).json()
    assert [(step.get("actor"), step.get("note")) for step in shown["timeline"]] == [(OWNER, None), (OPERATOR, "late")]
    place(service, sorts.headers(OWNER), **key)


def test_while_nobody_is_asked_a_timeline_names_nobody_and_credentials_change_nothing(
    start: Callable[..., Any], issuer: LocalIssuer
) -> None:
    running = start()
    order = place(running, _bearer(issuer.token(OWNER)))
    (step,) = running.client.get(f"/order/{order}").json()["timeline"]
    assert set(step) == {"position", "status", "at"}
    assert listed(running, {}) == [order]


def test_an_owner_s_list_is_a_stretch_of_an_index(service: Any, database: Database) -> None:
    with database.transaction() as transaction:
        transaction.execute("SET LOCAL enable_seqscan = off")
        transaction.execute("SET LOCAL enable_sort = off")
        plan = transaction.execute(
            "EXPLAIN (FORMAT TEXT) SELECT id FROM orders WHERE owner = 'a' ORDER BY id DESC LIMIT 9"
        )
    assert "Scan Backward using orders_owner" in "\n".join(row[0] for row in plan)


def test_the_document_says_what_every_route_asks_of_its_caller(service: Any, asked: list[Requirement]) -> None:
    document = httpx2.get(f"{service.client.base_url}/openapi.json").json()
    assert set(document["components"]["securitySchemes"]) == {"apiKey", "token"}
    for one in asked:
        (method,) = one.methods
        operation = document["paths"][one.route.path][method.lower()]
        assert operation["security"] == [{"apiKey": list(one.scopes)}, {"token": list(one.scopes)}]
        assert {"401", "403", "503"} <= set(operation["responses"])
        assert "WWW-Authenticate" in operation["responses"]["401"]["headers"]
