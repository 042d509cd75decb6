"""What `oms` says of answers that lack a field, or have one of another type, as those of another release may."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from support.serving import LocalServer, serving
from support.terminal import oms

SECRET = "Quixotic-4913"
COMMANDS = (
    "items",
    "order list",
    "order show a",
    "order place --watch",
    "order watch a",
    "order cancel a",
    "inventory check",
    "inventory movements a",
    "messages list",
    "deadletters list",
    "deadletters redrive order --all",
    "payments list",
    "jobs list",
    "outbox list",
    "keys list",
    "audit list",
    "customers export ann@example.com",
    "customers erase --yes ann@example.com",
    "doctor",
)
LISTS = ("/order", "/items", "/messages", "/movements", "/differences", "/dead-letters", "/payments", "/jobs")
ALSO_LISTS = ("/keys", "/audit", "/quarantine", "/outbox", "/outbox/quarantine", "/stuck", "/held")
FORMS: dict[str, dict[str, Any]] = {"without its fields": {}, "with fields of other types": {"status": 7}}
NAMES = (
    "id", "at", "total", "currency", "customer", "placedAt", "lines", "timeline", "unitPrice", "onHand", "orders",
    "deadAt", "createdAt", "runAt", "amount", "kind", "to", "text", "action", "before", "after", "texts", "announced",
    "states", "subject", "scopes",
)  # fmt: skip
FORMS["with fields of other types"] |= {name: [SECRET] for name in NAMES}


class _Other(BaseHTTPRequestHandler):
    server: "_Release"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0]
        answer: Any = self.server.form
        if self.command == "GET" and path.endswith(LISTS + ALSO_LISTS):
            answer = [answer]
        is_stream = path.endswith("/events")
        text = json.dumps(answer)
        body = (f"data: {text}\n\n" if is_stream else text).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if is_stream else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name that http.server looks for

    def log_message(self, *_: Any) -> None:
        """Nothing: the test says what matters."""


class _Release(LocalServer):
    """All services of a release that answers in another form."""

    def __init__(self) -> None:
        super().__init__(_Other)
        self.form: dict[str, Any] = {}


@pytest.fixture
def release() -> Iterator[_Release]:
    with serving(_Release()) as server:
        yield server


@pytest.mark.parametrize(
    ("command", "form"),
    [
        *((command, "without its fields") for command in COMMANDS),
        *((command, "with fields of other types") for command in ("order list", "audit list", "doctor")),
    ],
)
def test_an_answer_of_another_form_is_said_in_a_sentence(
    release: _Release, tmp_path: Path, command: str, form: str
) -> None:
    release.form = FORMS[form]
    result = oms(command, release.url, tmp_path)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert release.url in result.stderr
    assert "in a form that this `oms` does not know" in result.stderr
    assert SECRET not in result.stderr
