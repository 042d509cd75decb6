"""What lists show, and say that they do not show, next to services that have more than fits a page."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from support import commandline
from support.serving import LocalServer, serving

from oms_contracts.topics import SERVICES

PAGED = 1000  # of movements, the inventory shows so many at most and has no further page
OTHERS = "and there are others"


class _Lists(BaseHTTPRequestHandler):
    """Answers each path with its rows, by pages of the limit that was asked for."""

    server: "_Service"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        rows, first, limit = (
            self.server.rows.get(url.path, []),
            int(query.get("cursor", 0)),
            int(query.get("limit", 50)),
        )
        if url.path.startswith("/messages"):
            rows = rows[-limit:]
        assert limit <= (PAGED if "movements" in url.path else 100_000 if "messages" in url.path else 100)
        body = json.dumps(rows[first : first + limit]).encode()
        self.send_response(200)
        if "movements" not in url.path and first + limit < len(rows):
            self.send_header("Link", f'<{url.path}?limit={limit}&cursor={first + limit}>; rel="next"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: the test says what matters."""


class _Service(LocalServer):
    def __init__(self) -> None:
        super().__init__(_Lists)
        self.rows: dict[str, Sequence[dict[str, Any]]] = {}


@pytest.fixture
def services() -> Iterator[dict[str, _Service]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(serving(_Service())) for name in SERVICES}


class Oms:
    """The command line with the addresses of these services."""

    def __init__(self, services: dict[str, _Service], home: Path) -> None:
        order, inventory = services["order"].url, services["inventory"].url
        admins = {f"OMS_ADMIN_URL_{name.upper()}": service.url for name, service in services.items()}
        named = {"OMS_URL": order, "OMS_INVENTORY_URL": inventory, "OMS_MAILCATCHER_URL": services["email"].url}
        token = {"OMS_HOME": str(home), "OMS_ADMIN_TOKEN": "of-this-test-0123456789"}
        self._environment = {**os.environ, **admins, **named, **token}

    def __call__(self, *arguments: str) -> tuple[list[Any], bool]:
        """The ids of what is shown, and whether it is said that there are others."""
        shown, said = self.said(*arguments)
        return shown, OTHERS in said

    def said(self, *arguments: str) -> tuple[list[Any], str]:
        """The same, with what is said of it."""
        done = commandline.run([*arguments, "--json"], self._environment)
        assert done.returncode == 0, done.stderr
        return [one["id"] for one in json.loads(done.stdout)], done.stderr


@pytest.fixture
def oms(services: dict[str, _Service], tmp_path: Path) -> Oms:
    return Oms(services, tmp_path)


def rows(first: int, count: int, *times: str) -> Sequence[dict[str, Any]]:
    """So many rows, of a minute each, under these names of a time; the ids say in which order they came to be."""
    return [
        {"id": number, **dict.fromkeys(times, f"2026-11-27T12:{number:02}:00Z")}
        for number in range(first, first + count)
    ]


LISTS = [
    ("deadletters list", "/admin/dead-letters", "deadAt", ("order", "sms")),
    ("outbox list", "/admin/outbox", "quarantinedAt", ("order", "sms")),
    ("jobs list", "/admin/jobs", "createdAt", ("payment", "email")),
    ("messages list", "/admin/messages", "createdAt", ("email", "sms")),
]


@pytest.mark.parametrize(("command", "path", "time", "those"), LISTS)
def test_no_service_hides_the_rows_of_another_and_a_list_that_is_cut_says_so(
    services: dict[str, _Service], oms: Oms, command: str, path: str, time: str, those: tuple[str, str]
) -> None:
    first, second = (services[name] for name in those)
    first.rows[path] = [rows(1, 1, time)[0], *rows(10, 4, time)]
    second.rows[path] = rows(2, 3, time)
    assert oms(*command.split(), "--limit", "4") == ([1, 2, 3, 4], True)
    assert oms(*command.split(), "--limit", "7") == ([1, 2, 3, 4, 10, 11, 12], True)
    assert oms(*command.split(), "--limit", "8") == ([1, 2, 3, 4, 10, 11, 12, 13], False)


def test_the_audit_log_shows_the_newest_of_all_services(services: dict[str, _Service], oms: Oms) -> None:
    services["order"].rows["/admin/audit"] = list(reversed(rows(1, 3, "at")))
    services["sms"].rows["/admin/audit"] = rows(4, 1, "at")
    assert oms("audit", "list", "--limit", "2") == ([4, 3], True)
    assert oms("audit", "list", "--limit", "4") == ([4, 3, 2, 1], False)


def test_a_list_that_ends_with_a_page_is_the_whole(services: dict[str, _Service], oms: Oms) -> None:
    services["order"].rows["/admin/dead-letters"] = [row | {"deadAt": "2026-11-27T12:00:00Z"} for row in rows(0, 200)]
    assert oms("deadletters", "list", "--limit", "200") == ([*range(200)], False)
    assert oms("deadletters", "list", "--limit", "199") == ([*range(199)], True)
    assert oms("deadletters", "list", "--limit", "100") == ([*range(100)], True)


def test_payments_and_orders_that_are_cut_say_so(services: dict[str, _Service], oms: Oms) -> None:
    services["payment"].rows["/admin/payments"] = rows(1, 3)
    services["order"].rows["/order"] = rows(1, 3)
    for command in ("payments", "order"):
        assert oms(command, "list", "--limit", "2") == ([1, 2], True)
        assert oms(command, "list", "--limit", "3") == ([1, 2, 3], False)


def test_orders_are_shown_over_as_many_pages_as_it_takes(services: dict[str, _Service], oms: Oms) -> None:
    services["order"].rows["/order"] = rows(0, 250)
    assert oms("order", "list", "--limit", "250") == ([*range(250)], False)
    assert oms("order", "list", "--limit", "201") == ([*range(201)], True)


def test_items_are_all_items(services: dict[str, _Service], oms: Oms) -> None:
    services["inventory"].rows["/items"] = rows(0, 250)
    assert oms("items") == ([*range(250)], False)


def test_of_an_item_s_movements_as_many_are_shown_as_are_asked_for(services: dict[str, _Service], oms: Oms) -> None:
    services["inventory"].rows["/items/a/movements"] = rows(0, 150)
    assert oms("inventory", "movements", "a") == ([*range(100)], True)
    assert oms("inventory", "movements", "a", "--limit", "150") == ([*range(150)], False)
    assert oms("inventory", "movements", "a", "--limit", "1000") == ([*range(150)], False)
    services["inventory"].rows["/items/a/movements"] = rows(0, 1500)
    assert oms("inventory", "movements", "a", "--limit", "1000") == ([*range(1000)], True)
    _, said = oms.said("inventory", "movements", "a", "--limit", "1000")
    assert "--limit" not in said  # a higher one is refused
    assert "--limit" in oms.said("inventory", "movements", "a", "--limit", "999")[1]


def test_of_messages_the_newest_are_shown(services: dict[str, _Service], oms: Oms) -> None:
    services["email"].rows["/messages"] = rows(0, 150)
    assert oms("messages") == ([*range(50, 150)], True)
    assert oms("messages", "--limit", "150") == ([*range(150)], False)
