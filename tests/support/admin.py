"""The admin API of a service, as a client in the test's own process."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import APIRouter
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from oms_chassis.admin import app, paging
from oms_chassis.admin.service import AdministeredService
from oms_chassis.db import Database
from oms_chassis.http import pages
from oms_chassis.runtime.service import Components
from oms_chassis.telemetry.metrics import Metrics

TOKEN = "of-a-test-0123456789"


@contextmanager
def operated(name: str, database: Database, components: Components) -> Iterator[TestClient]:
    """Yield a client of the admin API with the token of an operator named ann."""
    registry = CollectorRegistry()
    service = AdministeredService(
        name,
        database,
        components.subscriptions,
        components.job_queues,
        registry,
        components.states,
        components.erase,
    )
    made = app.create(service, components.admin, components.provides, [TOKEN], Metrics(registry))
    assert made is not None
    headers = {"Authorization": f"Bearer {TOKEN}", "OMS-Operator": "ann"}
    with TestClient(made, headers=headers, raise_server_exceptions=False) as client:
        yield client


_POSITIONS = (b"\x00", b"a\x00b", b"\xff", b"-1", b"1_0", str(10**30).encode(), "\u0663".encode(), b"nan", b"")
_VALUES = ("%00", "%ED%A0%80", "%FF", "a" * 300, str(10**30), "-1", "NaN", "1%2F2", "%D9%A3", "9" * 5000)
_PARAMETERS = (
    "limit",
    "state",
    "topic",
    "subject",
    "error",
    "queue",
    "kind",
    "reason",
    "action",
    "operator",
    "seconds",
)
_BODIES = (
    r'{"subjects": ["a\u0000b"], "texts": ["a\u0000bcdef"]}',
    r'{"subjects": ["\ud800"]}',
    r'{"queue": "calls", "id": "a\u0000"}',
    r'{"queue": "calls", "id": "\ud800"}',
    r'{"email": "a\u0000@example.com"}',
    r'{"email": "\ud800@example.com"}',
    '{"subjects": [], "subjects": []}',
    '{"subjects": ' + "9" * 5000 + "}",
    "[" * 60_000,
    '{"a":' * 12_000,
    "NaN",
    "\ufeff{}",
    "",
)


def faults(client: TestClient, *routers: APIRouter) -> list[str]:
    """Return the requests to the routes of an admin API, or of these routers, for which it has no proper answer."""
    documented: dict[str, dict[str, object]] = client.get("/admin/openapi.json").json()["paths"]
    own = {one.path for router in routers for one in router.routes if isinstance(one, APIRoute)}
    paths = documented.keys() & own if routers else documented.keys()
    assert paths
    return [fault for path in sorted(paths) for fault in _faults(client, path)]


def _faults(client: TestClient, path: str) -> Iterator[str]:
    cursors = [pages.encode(one) for one in _POSITIONS]
    cursors += [paging.cursor_after(path.removeprefix(paging.PREFIX), one) for one in _POSITIONS]
    addresses = [f"{path}?cursor={one}" for one in cursors]
    addresses += [f"{path}?{name}={value}" for name in _PARAMETERS for value in _VALUES]
    if "{" in path:
        addresses = [re.sub("{[^}]*}", value, path) for value in _VALUES]
    for address in addresses:
        if client.get(address).status_code >= 500:
            yield address
        if "{" in path and client.post(address, json={}).status_code >= 500:
            yield f"POST {address}"
    for body in _BODIES:
        headers = {"Content-Type": "application/json"}
        if client.post(re.sub("{[^}]*}", "1", path), content=body.encode(), headers=headers).status_code >= 500:
            yield f"{path} {body[:60]}"
