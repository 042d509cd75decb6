"""`oms keys` against running services: a key that was made works, and one that was revoked does not."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from support import commandline
from support.chassis import eventually, migrated
from support.server import routes, serving

from oms_chassis.admin import app as admin
from oms_chassis.admin import keys
from oms_chassis.admin.service import AdministeredService
from oms_chassis.db import Database
from oms_chassis.runtime.service import Service
from oms_chassis.telemetry.metrics import Metrics
from oms_inventory.main import SERVICE as INVENTORY
from oms_order.main import SERVICE as ORDER
from oms_servers.testing import free_port

TOKEN = "of-this-test-0123456789"
Oms = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def addresses(postgres: Any) -> Iterator[dict[str, str]]:
    """The environment of a client: order and inventory ask for keys, each with a database of its own."""
    with ExitStack() as stack:
        order = _started(stack, ORDER, str(postgres.create_database("keys_order")))
        inventory = _started(stack, INVENTORY, str(postgres.create_database("keys_inventory")))
        yield {
            "OMS_URL": order[0],
            "OMS_ADMIN_URL_ORDER": order[1],
            "OMS_INVENTORY_URL": inventory[0],
            "OMS_ADMIN_URL_INVENTORY": inventory[1],
            "OMS_ADMIN_TOKEN": TOKEN,
        }


def _started(stack: ExitStack, service: Service, url: str) -> tuple[str, str]:
    """The addresses of a service's public and of its admin routes."""
    migrated(url, service.package).dispose()
    settings = service.settings(
        database_url=url, kafka_bootstrap="127.0.0.1:1", auth=("api-key",), key_cache_seconds=0.2
    )
    database = Database(url, settings.database_pool, settings.limits)
    stack.callback(database.dispose)
    public, _ = stack.enter_context(routes(service, settings, database, CollectorRegistry()))
    administered, metrics = AdministeredService(service.name, database), Metrics(CollectorRegistry())
    made = admin.create(administered, [keys.router], [], [TOKEN], metrics)
    assert made is not None
    return public, stack.enter_context(serving(made))


@pytest.fixture
def oms(addresses: dict[str, str], tmp_path: Path) -> Oms:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OMS_")}

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return commandline.run(arguments, {**clean, **addresses, "OMS_HOME": str(tmp_path), **more}, timeout=120)

    return run


def status(url: str, key: str | None = None) -> int:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx2.get(url, headers=headers, timeout=30).status_code


def test_a_key_works_in_every_service_until_it_is_revoked(oms: Oms, addresses: dict[str, str]) -> None:
    orders, items = f"{addresses['OMS_URL']}/order", f"{addresses['OMS_INVENTORY_URL']}/items"
    assert status(orders) == 401
    made = json.loads(oms("keys", "create", "--owner", "shop", "--scope", "orders:read", "--json").stdout)
    assert [status(url, made["key"]) for url in (orders, items)] == [200, 200]
    assert oms("order", "list", OMS_CREDENTIAL=made["key"]).returncode == 0
    for credential in ("", "oms_no_key"):
        refused = oms("order", "list", OMS_CREDENTIAL=credential)
        assert refused.returncode == 1
        assert "(401)" in refused.stderr
        assert "OMS_CREDENTIAL" in refused.stderr
        assert "oms keys create" in refused.stderr
    lacking = oms(
        "order", "refund", "018cc251-f400-7000-8000-000000000001", "--amount", "1", OMS_CREDENTIAL=made["key"]
    )
    assert "The credentials lack a scope that this takes: operator (403)" in lacking.stderr
    assert "oms keys create" in lacking.stderr

    (listed,) = [one for one in json.loads(oms("keys", "list", "--json").stdout) if one["id"] == made["id"]]
    assert (listed["state"], listed["services"], listed["scopes"]) == ("valid", ["order", "inventory"], ["orders:read"])
    assert made["key"] not in oms("keys", "list").stdout

    assert "would be revoked" in oms("keys", "revoke", made["id"], "--dry-run").stdout
    assert "is revoked" in oms("keys", "revoke", made["id"], "--reason", "found in a repository").stdout
    for url in (orders, items):
        eventually(lambda url=url: status(url, made["key"]) == 401)  # type: ignore[misc]
    assert "revoked" in oms("keys", "list", "--owner", "shop").stdout


def test_a_key_that_does_not_reach_every_service_is_revoked_in_the_others(oms: Oms, addresses: dict[str, str]) -> None:
    away = {"OMS_ADMIN_URL_INVENTORY": f"http://127.0.0.1:{free_port()}"}
    failed = oms("keys", "create", "--owner", "nobody", "--scope", "orders:read", **away)
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert "No key was made" in failed.stderr
    assert [one["state"] for one in json.loads(oms("keys", "list", "--owner", "nobody", "--json").stdout)] == [
        "revoked"
    ]


def test_a_key_that_a_service_could_not_be_asked_to_revoke_is_named(oms: Oms) -> None:
    made = json.loads(oms("keys", "create", "--owner", "shop", "--scope", "orders:read", "--json").stdout)
    away = {"OMS_ADMIN_URL_INVENTORY": f"http://127.0.0.1:{free_port()}"}
    failed = oms("keys", "revoke", made["id"], **away)
    assert failed.returncode == 1
    assert "may still work: inventory" in " ".join(failed.stderr.split())


def listed(oms: Oms, key_id: str) -> tuple[str, list[str]]:
    """A key's state, and where it works."""
    (found,) = [one for one in json.loads(oms("keys", "list", "--json").stdout) if one["id"] == key_id]
    return found["state"], found["worksIn"]


def test_a_key_that_still_works_in_a_service_is_not_listed_as_revoked(oms: Oms, addresses: dict[str, str]) -> None:
    made = json.loads(oms("keys", "create", "--owner", "half", "--scope", "orders:read", "--json").stdout)
    assert listed(oms, made["id"]) == ("valid", ["order", "inventory"])
    oms("keys", "revoke", made["id"], OMS_ADMIN_URL_INVENTORY=f"http://127.0.0.1:{free_port()}")
    assert status(f"{addresses['OMS_INVENTORY_URL']}/items", made["key"]) == 200
    assert listed(oms, made["id"]) == ("valid", ["inventory"])
    table = oms("keys", "list", "--owner", "half").stdout
    assert "works in" in table
    assert "revoked" not in table
    oms("keys", "revoke", made["id"])
    assert listed(oms, made["id"]) == ("revoked", [])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--scope", "orders:everything"], "orders:everything is no scope"),
        (["--scope", "orders:read", "--expires", "soon"], "--expires is hours or days"),
    ],
)
def test_a_mistake_is_named_before_a_key_is_made(options: list[str], said: str, oms: Oms) -> None:
    failed = oms("keys", "create", "--owner", "mistaken", *options)
    assert failed.returncode == 1
    assert said in failed.stderr
    assert json.loads(oms("keys", "list", "--owner", "mistaken", "--json").stdout) == []


def test_a_key_that_there_is_not_cannot_be_revoked(oms: Oms) -> None:
    failed = oms("keys", "revoke", "abcdefghij")
    assert failed.returncode == 1
    assert "There is no key abcdefghij" in failed.stderr


def test_of_a_whole_key_the_id_is_revoked(oms: Oms, addresses: dict[str, str]) -> None:
    made = json.loads(oms("keys", "create", "--owner", "leaky", "--scope", "orders:read", "--json").stdout)
    revoked = oms("keys", "revoke", made["key"])
    assert (revoked.returncode, revoked.stdout) == (0, f"the key {made['id']} is revoked\n")
    assert made["key"] not in revoked.stdout + revoked.stderr
    (listed,) = json.loads(oms("keys", "list", "--owner", "leaky", "--json").stdout)
    assert (listed["id"], listed["state"]) == (made["id"], "revoked")


@pytest.mark.parametrize("given", ["4F9C21ABCD", "4f9c21abc", "4f9c21abcde", "oms_4f9c_secret", "secret", "a/b", ""])
def test_an_invalid_id_is_refused_before_a_service_is_asked_and_is_not_shown(oms: Oms, given: str) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    failed = oms("keys", "revoke", given, OMS_ADMIN_URL_ORDER=nowhere, OMS_ADMIN_URL_INVENTORY=nowhere)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "is no key id" in failed.stderr
    assert "`oms keys list` shows them" in failed.stderr
    assert "may still work" not in failed.stderr
    assert not given or given not in failed.stderr
