"""Checks that strangers see nothing of others' orders, by a replica of the order service with authentication."""

import time

import httpx2
from support.keys import add_key
from support.proxied import ProxiedPlatform

from oms_chassis.db import Database
from oms_servers.errors import LocalError

SCOPES = ("orders:place", "orders:read", "orders:act")  # all scopes except the operator's
ASKED_FOR = 20  # orders
ASKED_WITHIN = 60.0  # seconds, within which even a busy machine starts a replica
AGAIN = 1.0  # seconds between two attempts
_AUTH = {"OMS_AUTH": "api-key"}


def look(proxied: ProxiedPlatform, orders: list[str], within: float = ASKED_WITHIN) -> list[str]:
    """Return the answers that nobody should get who did not place these orders; or that no request was possible, which
    proves nothing."""
    deadline = time.monotonic() + within
    while True:
        try:
            return ask(proxied, orders)
        except (LocalError, httpx2.HTTPError) as error:
            if time.monotonic() > deadline:
                return [f"nobody could ask: {error!r}"]
        time.sleep(AGAIN)


def ask(proxied: ProxiedPlatform, orders: list[str]) -> list[str]:
    """Return wrong answers to a stranger. Raises LocalError if no replica starts, HTTPError if it is silent."""
    replica = proxied.replica("order", _AUTH)
    with replica:
        url, headers = f"http://127.0.0.1:{replica.listens[0]}", {"Authorization": f"Bearer {_key(proxied)}"}
        with httpx2.Client(base_url=url, headers=headers, timeout=30.0) as client:
            return [
                *_listed(client),
                *(wrong for order_id in orders[-ASKED_FOR:] for wrong in _shown(client, order_id)),
            ]


def _key(proxied: ProxiedPlatform) -> str:
    database = Database(proxied.platform.databases["order"].url)
    try:
        return add_key(database, "stranger", *SCOPES)
    finally:
        database.dispose()


def _listed(client: httpx2.Client) -> list[str]:
    answer = client.get("/order")
    return [] if answer.status_code == 200 and answer.json() == [] else [f"a list of orders: {answer.status_code}"]


def _shown(client: httpx2.Client, order_id: str) -> list[str]:
    """Return the routes that do not deny the existence of an order."""
    asked = [("GET", f"/order/{order_id}"), ("GET", f"/order/{order_id}/events"), ("POST", f"/order/{order_id}/cancel")]
    answers = [(method, path, client.request(method, path).status_code) for method, path in asked]
    return [f"{method} {path}: {status}" for method, path, status in answers if status != 404]
