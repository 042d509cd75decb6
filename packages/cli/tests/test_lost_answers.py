"""What `oms` says when an answer is lost, next to a server that takes requests and breaks off."""

import json
import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from support.serving import LocalServer, serving
from support.terminal import oms

from oms_cli.admin import Acting, Admin
from oms_cli.client import Client
from oms_cli.unanswered import NoAnswer, OutcomeUnknown, Unreachable
from oms_servers.testing import free_port

UNKNOWN = {"type": "/problems/outcome-unknown", "title": "It is not known", "status": 503}
COMMANDS = ["order place", "order cancel a", "order refund a --amount 250"]


class _Breaking(BaseHTTPRequestHandler):
    """Takes a request, and breaks off, or answers with a problem."""

    server: "_Service"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.keys.append(self.headers.get("Idempotency-Key"))
        if self.server.status == 0:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        body = json.dumps(self.server.problem).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/problem+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_GET  # noqa: N815 - the names that http.server looks for

    def log_message(self, *_: Any) -> None:
        """Nothing: the test says what matters."""


class _Service(LocalServer):
    def __init__(self) -> None:
        super().__init__(_Breaking)
        self.status, self.problem, self.keys = 0, UNKNOWN, list[str | None]()


@pytest.fixture
def service() -> Iterator[_Service]:
    with serving(_Service()) as server:
        yield server


@pytest.mark.parametrize("status", [0, 502, 503, 504])
@pytest.mark.parametrize("command", COMMANDS)
def test_an_act_whose_answer_is_lost_says_with_which_key_it_is_repeated(
    service: _Service, tmp_path: Path, command: str, status: int
) -> None:
    service.status = status
    result = oms(command, service.url, tmp_path)
    (key,) = service.keys
    assert result.returncode == 1
    assert "does not answer" not in result.stderr
    assert key
    assert f"--key {key}" in result.stderr
    assert len(oms(f"{command} --key mine", service.url, tmp_path).stderr.split("--key mine")) == 2
    assert service.keys == [key, "mine"]


def test_each_act_has_a_key_of_its_own(service: _Service) -> None:
    client = Client(service.url, service.url, service.url)
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            client.refund("a", {"amount": 1})
    assert len(set(service.keys)) == 2


def test_a_refusal_names_no_key(service: _Service, tmp_path: Path) -> None:
    service.status, service.problem = 409, {"type": "/problems/more-than-remains", "title": "Less remains"}
    result = oms("order refund a --amount 250", service.url, tmp_path)
    assert (result.returncode, "Less remains (409)" in result.stderr, "--key" in result.stderr) == (1, True, False)


@pytest.mark.parametrize("status", [0, 503])
def test_an_operators_act_whose_answer_is_lost_says_where_to_look(
    service: _Service, tmp_path: Path, status: int
) -> None:
    service.status = status
    result = oms("payments resolve a --refunded bank", service.url, tmp_path)
    assert result.returncode == 1
    assert "does not answer" not in result.stderr
    assert "oms payments show" in result.stderr
    assert "oms audit list" in result.stderr


@pytest.mark.parametrize("status", [0, 503])
def test_of_several_acts_one_with_a_lost_answer_is_not_called_refused(
    service: _Service, tmp_path: Path, status: int
) -> None:
    service.status = status
    result = oms("jobs retry payment refund a --json", service.url, tmp_path)
    assert result.returncode == 1
    assert '"refused"' not in result.stdout
    assert "oms audit list" in result.stdout + result.stderr


def test_a_command_that_only_reads_can_be_repeated(service: _Service) -> None:
    client, admin = Client(service.url, service.url, service.url), Admin({"order": service.url}, "t", Acting("ann"))
    trying = Admin({"order": service.url}, "t", Acting("ann", dry_run=True))
    looks: list[Callable[[], Any]] = [client.items, lambda: client.shown("a"), lambda: admin.get("order", "/admin/x")]
    looks += [lambda: admin.look("order", "/admin/x"), lambda: trying.act("order", "/admin/x", "PUT")]
    for look in looks:
        with pytest.raises(NoAnswer, match="it only looks"):
            look()


@pytest.mark.parametrize("status", [0, 502, 503])
@pytest.mark.parametrize(
    "command",
    [
        "customers export ann@example.com",
        "customers erase ann@example.com --yes",
        "deadletters show payment 7 --reveal",
        "jobs retry payment refund a --dry-run",
        "inventory publish --dry-run",
    ],
)
def test_a_command_that_failed_while_reading_does_not_say_that_it_may_have_been_carried_out(
    service: _Service, tmp_path: Path, command: str, status: int
) -> None:
    service.status, service.problem = status, {"title": "Come again"}
    result = oms(command, service.url, tmp_path)
    assert result.returncode == 1
    assert "carried" not in result.stdout + result.stderr
    assert "oms audit list" not in result.stdout + result.stderr


def test_where_nothing_listens_nothing_was_done() -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    client, admin = Client(nowhere, nowhere, nowhere), Admin({"order": nowhere}, "t", Acting("ann"))
    acts: list[Callable[[], Any]] = [
        lambda: client.refund("a", {}),
        lambda: client.restock("a", 1),
        lambda: admin.act("order", "/admin/x"),
    ]
    for act in acts:
        with pytest.raises(Unreachable, match="does not answer") as failure:
            act()
        assert "--key" not in str(failure.value)
