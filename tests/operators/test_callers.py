"""Access to the internal port: the routes for operators are open to callers with an admin token of the service, and to
nobody else, whatever other rights they have. Probes and metrics are open, and name nobody. The public port has neither.
"""

import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from support.callers import OPERATOR, OTHER, OWNER, SORTS, callers
from support.chassis import migrated
from support.issuer import LocalIssuer, local_issuer

from oms_chassis.db import Database
from oms_chassis.http.edge import Edge
from oms_chassis.http.health import Health, internal_app
from oms_chassis.runtime import access, administration
from oms_chassis.runtime.service import Context, Service
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.topics import SERVICES
from oms_platform.addresses import Addresses
from oms_platform.declarations import declaration
from oms_servers.postgres import PostgresServer

NEW, OLD, WITHDRAWN = "a-new-admin-token-0123", "an-old-admin-token-012", "a-withdrawn-token-0123"
PROBED = ("/livez", "/readyz", "/metrics", "/asyncapi.json")
DOCUMENTS = [("GET", "/admin/openapi.json"), ("GET", "/admin/docs")]
PUBLIC = ("orders:place", "orders:read", "orders:act", "items:write")
Headers = Mapping[str, str]


@dataclass(frozen=True)
class Ports:
    """The applications behind a service's two ports, and the method and path of each of its admin routes."""

    internal: TestClient
    public: TestClient | None
    routes: list[tuple[str, str]]


@pytest.fixture(scope="module")
def issuer() -> Iterator[LocalIssuer]:
    with local_issuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def strangers(issuer: LocalIssuer, postgres: PostgresServer) -> Mapping[str, Headers]:
    """Return the headers of each kind of caller without an admin token; some are known on the public port."""
    database = migrated(postgres.create_database("callers"), "oms_order")
    known = callers(issuer, database, PUBLIC)
    database.dispose()
    sent = {sort: known.headers(sort) for sort in SORTS}
    sent |= {f"{sort}'s key": known.headers(sort, "key") for sort in (OWNER, OTHER, OPERATOR)}
    wrong = (f"Bearer {WITHDRAWN}", f"Basic {NEW}", NEW, f"Bearer {NEW},{OLD}", f"Bearer {NEW[:-1]}", "Bearer")
    return sent | {header: {"Authorization": header} for header in wrong}


@pytest.fixture(scope="module", params=SERVICES)
def ports(request: pytest.FixtureRequest, postgres: PostgresServer, issuer: LocalIssuer) -> Iterator[Ports]:
    name = request.param
    url = postgres.create_database(f"callers_{name}")
    migrated(url, f"oms_{name}").dispose()
    service: Service = importlib.import_module(f"oms_{name}.main").SERVICE
    declared = declaration(name).environment(Addresses.local()).items()
    given = {key.removeprefix("OMS_").lower(): value for key, value in declared}
    given |= {**issuer.settings, "database_url": url, "kafka_bootstrap": "127.0.0.1:1", "admin_token": f"{OLD},{NEW}"}
    settings = service.settings.model_validate(given)
    database, metrics = Database(url, settings.database_pool, settings.limits), Metrics(CollectorRegistry())
    components = service.build(Context(settings, database, metrics.registry))
    admin = administration.app(name, settings, database, components, metrics)
    internal = TestClient(internal_app(name, Health(database, {}), metrics.registry, lambda: None, admin))
    edge, public = Edge.of(settings, database), None
    if components.routers:
        assert edge.authentication.issuer is not None
        edge.authentication.issuer.refresh()
        public = TestClient(access.app(name, settings, components, metrics, edge))
    yield Ports(internal, public, routes_of(internal))
    for stop in components.on_stop:
        stop()
    database.dispose()


def routes_of(internal: TestClient) -> list[tuple[str, str]]:
    """Return the admin routes, each with values in place of its variables."""
    paths = internal.get("/admin/openapi.json", headers=admitted(NEW)).json()["paths"]
    found = [(method.upper(), re.sub("{[^}]*}", "1", path)) for path, one in paths.items() for method in one]
    return [*found, *DOCUMENTS]


def admitted(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}", "OMS-Operator": "ann"}


NOBODY_S: Headers = MappingProxyType({"OMS-Operator": "ann"})


def test_every_route_for_operators_is_closed_to_callers_without_an_admin_token(
    ports: Ports, strangers: Mapping[str, Headers]
) -> None:
    assert len(ports.routes) > 15
    wrong = []
    for method, path in ports.routes:
        for sort, headers in strangers.items():
            answer = ports.internal.request(method, path, headers={**NOBODY_S, **headers})
            if (answer.status_code, answer.json().get("type")) != (401, "/problems/unauthenticated"):
                wrong.append((method, path, sort, answer.status_code))
            assert answer.headers["www-authenticate"] == "Bearer"
    assert wrong == []


def test_every_route_for_operators_accepts_both_tokens_while_one_replaces_the_other(ports: Ports) -> None:
    for method, path in ports.routes:
        for token in (NEW, OLD):
            answer = ports.internal.request(method, path, headers=admitted(token))
            assert answer.status_code not in {401, 403}, (method, path)
            assert answer.status_code < 500, (method, path, answer.text)


@pytest.mark.parametrize("path", PROBED)
def test_probes_and_metrics_are_the_same_for_everybody_and_name_nobody(
    ports: Ports, strangers: Mapping[str, Headers], path: str
) -> None:
    for sort, headers in {**strangers, "operator": admitted(NEW)}.items():
        answer = ports.internal.get(path, headers=headers)
        assert answer.status_code == 200, (path, sort)
        assert not any(one in answer.text for one in (NEW, OLD, headers.get("Authorization", NEW))), (path, sort)


def test_the_public_port_has_nothing_of_the_internal_one(ports: Ports, strangers: Mapping[str, Headers]) -> None:
    if ports.public is None:
        return
    internal: list[tuple[str, str]] = [*ports.routes, *(("GET", path) for path in PROBED)]
    for method, path in internal:
        for sort in ("nobody", OWNER, OTHER, OPERATOR):
            answer = ports.public.request(method, path, headers=strangers[sort])
            assert answer.status_code == 404, (method, path, sort)
        assert ports.public.request(method, path, headers=admitted(NEW)).status_code == 401


def test_an_admin_token_is_nobody_on_the_public_port(ports: Ports) -> None:
    if ports.public is None:
        return
    paths: dict[str, Any] = ports.public.get("/openapi.json").json()["paths"]
    for path, operations in paths.items():
        for method in operations:
            answer = ports.public.request(method.upper(), re.sub("{[^}]*}", "1", path), headers=admitted(NEW))
            assert answer.status_code == 401, (method, path)
