"""`oms messages resend` next to servers that have some messages."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from support import commandline
from support.serving import LocalServer, serving

GONE = {"type": "/problems/message-not-found", "title": "There is no such message"}
NOT_FAILED = {"type": "/problems/message-not-failed", "title": "This message was not given up"}


class _Messages(BaseHTTPRequestHandler):
    server: "_Channel"

    def do_GET(self) -> None:
        order = self.path.split("/")[3]
        state = self.server.states.get(order)
        self._answer(404 if state is None else 200, GONE if state is None else {"state": state})

    def do_POST(self) -> None:
        order = self.path.split("/")[3]
        state = self.server.states.get(order)
        if state == "failed":
            self.server.sent.append(order)
            self._answer(200, {"state": "pending"})
        else:
            self._answer(404 if state is None else 409, GONE if state is None else NOT_FAILED)

    def _answer(self, status: int, found: dict[str, str]) -> None:
        body = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: the test says what matters."""


class _Channel(LocalServer):
    def __init__(self) -> None:
        super().__init__(_Messages)
        self.states: dict[str, str] = {}
        self.sent: list[str] = []


@pytest.fixture
def channels() -> Iterator[dict[str, _Channel]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(serving(_Channel())) for name in ("email", "sms")}


def resend(channels: dict[str, _Channel], home: Path, *orders: str) -> tuple[int, dict[str, str]]:
    """The exit code, and what was said of each message."""
    urls = {f"OMS_ADMIN_URL_{name.upper()}": channel.url for name, channel in channels.items()}
    environment = {**os.environ, **urls, "OMS_HOME": str(home), "OMS_ADMIN_TOKEN": "of-this-test-0123456789"}
    done = commandline.run(["messages", "resend", *orders, "--json", "--rate", "1000"], environment)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, {one["id"]: one.get("refused", one.get("state")) for one in lines}


def test_an_id_without_a_message_is_refused_and_the_others_are_sent(
    channels: dict[str, _Channel], tmp_path: Path
) -> None:
    channels["email"].states = {"a": "failed", "c": "failed"}
    channels["sms"].states = {"a": "sent", "c": "failed"}
    code, said = resend(channels, tmp_path, "a", "b", "c")
    assert (channels["email"].sent, channels["sms"].sent) == (["a", "c"], ["c"])
    assert code == 1
    assert said == {
        "email a": "pending",
        "email b": "There is no such message (404)",
        "email c": "pending",
        "sms c": "pending",
    }


def test_a_channel_without_a_message_about_the_order_has_not_failed(
    channels: dict[str, _Channel], tmp_path: Path
) -> None:
    channels["sms"].states = {"a": "failed", "b": "sent"}
    assert resend(channels, tmp_path, "a") == (0, {"sms a": "pending"})
    assert resend(channels, tmp_path, "b") == (1, {"sms b": "This message was not given up (409)"})
