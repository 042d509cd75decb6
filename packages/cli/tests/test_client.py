"""How `oms` asks over HTTP, next to a small server that answers as the services do."""

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from support.certificates import certificate
from support.serving import LocalServer, serving

from oms_cli import connections
from oms_cli.admin import Acting, Admin
from oms_cli.answers import NotOms, Refused
from oms_cli.client import Client
from oms_servers.errors import LocalError

PAGES = {
    "/stock/differences": ([], "/stock/differences?cursor=b"),
    "/stock/differences?cursor=b": ([{"id": "b1"}], "/stock/differences?cursor=c"),
    "/stock/differences?cursor=c": ([{"id": "c1"}], None),
}


class _Inventory(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found, following = PAGES[self.path]
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if following:
            self.send_header("Link", f'<{following}>; rel="next"')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: the test says what matters."""


@pytest.fixture
def address() -> Iterator[str]:
    with serving(LocalServer(_Inventory)) as server:
        yield server.url


def test_the_books_of_all_items_are_checked_also_after_a_stretch_without_a_difference(address: str) -> None:
    client = Client("http://127.0.0.1:1", address, "http://127.0.0.1:1")
    assert [one["id"] for one in client.differences()] == ["b1", "c1"]


class _Other(BaseHTTPRequestHandler):
    """What is not OMS: it answers everything alike."""

    server: "_Program"

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.server.status)
        self.send_header("Content-Type", "text/html" if self.server.body.startswith(b"<") else "application/json")
        self.send_header("Location", "/login")
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    do_POST = do_GET  # noqa: N815 - the name that http.server looks for

    def log_message(self, *_: Any) -> None:
        """Nothing: the test says what matters."""


class _Program(LocalServer):
    status, body = 200, b"{}"

    def __init__(self) -> None:
        super().__init__(_Other)
        self.paths: list[str] = []


@pytest.fixture
def other() -> Iterator[_Program]:
    with serving(_Program()) as server:
        yield server


@pytest.mark.parametrize("status", [200, 302])
@pytest.mark.parametrize("body", [b"<p>Please log in</p>", b"", b'{"orders":', b"null", b'"x"', b"\xff", b"{}", b"[1]"])
def test_what_is_not_oms_is_not_taken_for_an_empty_list(other: _Program, status: int, body: bytes) -> None:
    """That there are no dead letters, or that all books are in order, is nothing that a login page says."""
    other.status, other.body = status, body
    client, admin = Client(other.url, other.url, other.url), Admin({"order": other.url}, "token", Acting("ann"))
    asks: list[Callable[[], Any]] = [client.orders, client.items, client.differences]
    asks.append(lambda: admin.pages("order", "/admin/audit", 10))
    for ask in asks:
        with pytest.raises(NotOms, match="does not answer as OMS does"):
            ask()


@pytest.mark.parametrize("body", [b"<p>Please log in</p>", b"", b"[]", b"null"])
def test_what_is_not_oms_has_placed_no_order(other: _Program, body: bytes) -> None:
    other.body = body
    client, admin = Client(other.url, other.url, other.url), Admin({"order": other.url}, "token", Acting("ann"))
    asks: list[Callable[[], Any]] = [
        lambda: client.place({}),
        lambda: client.shown("a"),
        lambda: list(client.events("a")),
    ]
    asks += [lambda: admin.act("order", "/admin/evidence"), lambda: admin.get("order", "/admin/condition")]
    for ask in asks:
        with pytest.raises(NotOms, match="does not answer as OMS does"):
            ask()


@pytest.mark.parametrize(
    "body", [b"", b"<h1>Bad gateway</h1>", b"[]", b'{"errors": ["x"]}', b'{"errors": [{}]}', b'{"errors": 5}', b"{"]
)
def test_an_error_of_whatever_form_is_said_in_a_sentence(other: _Program, body: bytes) -> None:
    other.status, other.body = 502, body
    with pytest.raises(Refused, match=r"Bad Gateway \(502\)"):
        Client(other.url, other.url, other.url).orders()


@pytest.mark.parametrize(
    ("order", "path"),
    [
        ("a/b", "/order/a%2Fb"),
        ("a#b", "/order/a%23b"),
        ("a?b=c", "/order/a%3Fb%3Dc"),
        ("../items", "/order/..%2Fitems"),
        ("%2e%2e", "/order/%252e%252e"),
        ("ä", "/order/%C3%A4"),
    ],
)
def test_an_id_is_one_part_of_a_path_whatever_is_in_it(other: _Program, order: str, path: str) -> None:
    client = Client(other.url, other.url, other.url)
    client.shown(order)
    client.cancel(order)
    assert other.paths == [path, f"{path}/cancel"]


@pytest.mark.parametrize("order", ["", " ", ".", ".."])
def test_a_text_that_leads_to_another_path_is_not_an_id(other: _Program, order: str) -> None:
    client = Client(other.url, other.url, other.url)
    asks: list[Callable[[str], Any]] = [client.shown, client.cancel, client.item, client.movements]
    asks.append(lambda one: list(client.events(one)))
    for ask in asks:
        with pytest.raises(LocalError, match="is no id"):
            ask(order)
    assert other.paths == []


def test_an_address_that_is_named_and_empty_is_that_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMS_URL", "OMS_INVENTORY_URL", "OMS_MAILCATCHER_URL"):
        monkeypatch.setenv(name, "")
    client = Client.of_environment()
    assert {one[: len("http://localhost:")] for one in (client.order, client.inventory, client.mailcatcher)} == {
        "http://localhost:"
    }


def test_a_letter_that_the_terminal_cannot_show_hides_nothing_of_the_others(other: _Program) -> None:
    item = {"id": "Tea", "name": "Th\u00e9", "unitPrice": 1250, "currency": "USD", "onHand": 3, "available": True}
    other.body = json.dumps([item]).encode()
    output = subprocess.run(
        [sys.executable, "-m", "oms_cli", "items"],
        env={**os.environ, "OMS_INVENTORY_URL": other.url, "PYTHONIOENCODING": "ascii"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (output.returncode, "Th\\xe9" in output.stdout, "12.50" in output.stdout) == (0, True, True), output.stderr


def test_only_the_authorities_in_ssl_cert_file_are_trusted(
    other: _Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As is OMS within a company's network, whose authority no machine knows by itself."""
    file = certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(file)
    other.socket, other.body = tls.wrap_socket(other.socket, server_side=True), b"[]"
    url = other.url.replace("http:", "https:")
    for trusted, says in ((None, "SSLCertVerificationError: self-signed"), (file, None), (tmp_path / "no", "names no")):
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted)) if trusted else monkeypatch.delenv("SSL_CERT_FILE", False)
        connections._authorities.cache_clear()
        with nullcontext() if says is None else pytest.raises(LocalError, match=says):
            assert list(Client(url, url, url).orders()) == []


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("localhost:9090", "is not an http:// or https:// address"),
        ("ftp://localhost", "is not an http:// or https:// address"),
        ("http://[::1", "is not an http:// or https:// address"),
        ("http://ann:secret@localhost:1", "http://localhost:1(/order)? does not answer"),
    ],
)
def test_an_address_that_leads_nowhere_is_shown_for_what_it_is_without_its_password(url: str, says: str) -> None:
    admin = Admin({"order": url}, "token", Acting("ann"))
    for ask in (Client(url, url, url).orders, lambda: admin.get("order", "/admin/condition")):
        with pytest.raises(LocalError, match=says) as raised:
            ask()
        assert "secret" not in f"{raised.value.message} {raised.value.advice}"


def test_a_server_without_tls_at_an_https_address_is_named(other: _Program) -> None:
    url = other.url.replace("http:", "https:")
    with pytest.raises(LocalError, match=r"cannot be reached by TLS \(SSLError: WRONG_VERSION_NUMBER\)"):
        Client(url, url, url).orders()
