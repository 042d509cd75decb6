"""Who may do what with items: anybody may read them, and callers with the scope may change them."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from support.callers import IDENTIFIED, OTHER, OWNER, SORTS, Callers, callers, expected, name_of, scopes_of
from support.chassis import eventually
from support.issuer import LocalIssuer, local_issuer
from support.server import routes

from oms_chassis.db import Database
from oms_chassis.http.identity.requirements import requirements
from oms_inventory import api, stock_api
from oms_inventory.main import SERVICE
from oms_inventory.settings import InventorySettings

Seed = Callable[..., None]
ITEM = {"name": "Item", "unitPrice": 100, "onHand": 5}
# How each route is called, with the body it takes.
REQUESTS: dict[str, Any] = {
    "GET /items": None,
    "GET /items/{item_id}": None,
    "PUT /items/{item_id}": {"name": "Renamed", "unitPrice": 200},
    "POST /items/{item_id}/restock": {"quantity": 1},
    "POST /items/{item_id}/correct": {"quantity": 1, "reason": "counted"},
    "GET /items/{item_id}/movements": None,
    "GET /stock/differences": None,
}
ASKED = requirements([*api.router.routes, *stock_api.router.routes])


@pytest.fixture(scope="module")
def issuer() -> Iterator[LocalIssuer]:
    with local_issuer() as issuer:
        yield issuer


@pytest.fixture
def client(database: Database, migrated_url: str, issuer: LocalIssuer) -> Iterator[httpx2.Client]:
    """A client of a service that authenticates callers, by keys and by tokens."""
    ways = {**issuer.settings, "auth": ("api-key", "jwt")}
    settings = InventorySettings(database_url=migrated_url, kafka_bootstrap="127.0.0.1:1", **ways)
    own = Database(migrated_url, settings.database_pool, settings.limits)
    with (
        routes(SERVICE, settings, own, CollectorRegistry()) as (address, _),
        httpx2.Client(base_url=address, timeout=10) as client,
    ):
        token = {"Authorization": f"Bearer {issuer.token('x')}"}
        eventually(lambda: client.get("/items", headers=token).status_code == 200)
        yield client
    own.dispose()


@pytest.fixture
def sorts(issuer: LocalIssuer, database: Database) -> Callers:
    database.execute("TRUNCATE api_key")
    return callers(issuer, database, scopes_of(ASKED))


def test_every_route_gives_every_sort_of_caller_what_is_its_due(
    client: httpx2.Client, sorts: Callers, seed: Seed
) -> None:
    assert {name_of(one) for one in ASKED} == set(REQUESTS), "say in REQUESTS how a new route is called"
    seed(Tea=5)
    wrong = []
    for one in ASKED:
        (method,) = one.methods
        for sort in SORTS:
            for way in ("token", "key") if sort in IDENTIFIED else ("token",):
                path = one.route.path.replace("{item_id}", "Tea")
                answer = client.request(method, path, headers=sorts.headers(sort, way), json=REQUESTS[name_of(one)])
                if answer.status_code not in expected(one, sort, is_somebody_s=False):
                    wrong.append((name_of(one), sort, way, answer.status_code))
                if answer.status_code in {401, 403}:
                    assert answer.headers["content-type"] == "application/problem+json"
                    assert answer.headers["www-authenticate"].startswith('Bearer realm="oms"')
    assert wrong == []


def test_a_refused_change_changes_nothing(client: httpx2.Client, sorts: Callers, seed: Seed) -> None:
    seed(Tea=5)
    before = client.get("/items").json()
    for sort in ("nobody", "wrong scope", "expired token", "revoked key"):
        headers = sorts.headers(sort)
        client.put("/items/Tea", json={"name": "Cheap", "unitPrice": 1}, headers=headers)
        client.put("/items/New", json=ITEM, headers=headers)
        client.post("/items/Tea/restock", json={"quantity": 1}, headers=headers)
    assert client.get("/items").json() == before


def test_a_restock_s_key_is_the_caller_s_own(client: httpx2.Client, sorts: Callers, seed: Seed) -> None:
    seed(Tea=5)
    for sort, way, on_hand in ((OWNER, "token", 6), (OWNER, "key", 6), (OTHER, "token", 7), (OTHER, "key", 7)):
        headers = {**sorts.headers(sort, way), "Idempotency-Key": "the-same"}
        restocked = client.post("/items/Tea/restock", json={"quantity": 1}, headers=headers)
        assert (restocked.status_code, restocked.json()["onHand"]) == (200, on_hand)


def test_the_document_says_which_routes_ask_nobody(client: httpx2.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {} in paths["/items"]["get"]["security"]
    assert paths["/items/{item_id}"]["put"]["security"] == [{"apiKey": ["items:write"]}, {"token": ["items:write"]}]
    assert "403" not in paths["/items"]["get"]["responses"]
