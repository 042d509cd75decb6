"""What commands send, to a server in place of every service that writes it down."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from support.serving import LocalServer, serving
from support.terminal import oms

LETTERS = "/admin/dead-letters"


class _Writing(BaseHTTPRequestHandler):
    server: "_Service"

    def do_POST(self) -> None:
        given = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.sent.append((self.path, json.loads(given) if given else None))
        status = 404 if self.path in self.server.absent else 200
        body = json.dumps([] if self.command == "DELETE" else {"outcome": "applied"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_DELETE = do_POST  # noqa: N815 - the name that http.server looks for

    def log_message(self, *_: Any) -> None:
        """Nothing: the test says what matters."""


class _Service(LocalServer):
    def __init__(self) -> None:
        super().__init__(_Writing)
        self.sent: list[tuple[str, Any]] = []
        self.absent: set[str] = set()


@pytest.fixture
def service() -> Iterator[_Service]:
    with serving(_Service()) as server:
        yield server


def test_a_trial_of_letters_names_those_that_are_redriven_before(service: _Service, tmp_path: Path) -> None:
    assert oms("deadletters redrive payment 9 7 8 7 --dry-run --rate 1000", service.url, tmp_path).returncode == 0
    assert [path for path, _ in service.sent] == [f"{LETTERS}/{letter}/redrive" for letter in (7, 8, 9)]
    assert [body for _, body in service.sent] == [{"after": []}, {"after": [7]}, {"after": [7, 8]}]


def test_a_redrive_names_no_others(service: _Service, tmp_path: Path) -> None:
    assert oms("deadletters redrive payment 7 8 --rate 1000", service.url, tmp_path).returncode == 0
    assert [body for _, body in service.sent] == [None, None]


def test_messages_no_longer_fail_although_the_gateway_cannot_be_asked(service: _Service, tmp_path: Path) -> None:
    """As while payment is stopped, or its gateway is no simulator."""
    service.absent = {"/admin/simulator/failures"}
    assert oms("fail clear", service.url, tmp_path).returncode == 1
    assert [path for path, _ in service.sent] == ["/admin/simulator/failures", "/failures"]
