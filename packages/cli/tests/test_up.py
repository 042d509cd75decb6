"""`oms up` as a newcomer runs it, and `oms` next to it."""

import json
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from dataclasses import replace

import psutil
import pytest
from support.shell import Shell, own_shell

from oms_servers import ports

pytestmark = pytest.mark.system


@pytest.fixture
def shell() -> Iterator[Shell]:
    """Whoever uses it has a database elsewhere, which its environment speaks of."""
    with own_shell() as shell:
        yield replace(shell, extra={"PGSSLMODE": "require", "PGSERVICE": "elsewhere"})


def gone(processes: Sequence[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


def test_a_newcomer_sees_an_order_confirmed_and_finds_it_again_after_a_restart(shell: Shell) -> None:
    with shell.up() as session:
        output = session.await_text("Ctrl-C stops OMS")
        family = psutil.Process(session.process.pid).children(recursive=True)
        assert "Email to test@gmail.com" in output
        assert "SMS to" in output
        assert output.index("PENDING") < output.index("PAID") < output.index("CONFIRMED")
        parts = {part["name"]: part for part in json.loads(shell.oms("status", "--json"))}
        assert {part["state"] for part in parts.values()} == {"ready"}
        assert "Ceylon tea" in shell.oms("items")
        assert "payment-declined" in shell.oms("order", "place", "--card", "4000000000000002", "--watch")

        os.kill(parts["sms"]["pid"], signal.SIGKILL)
        session.await_text("sms was killed by SIGKILL; it is started again in 1 s", within=10)
        assert "PENDING" in shell.oms("order", "place")
        assert "stopped" in session.interrupt()
    assert gone(family)

    shell.oms("up", "--detach", "--no-sample", "--no-restart")
    try:
        assert "`oms start sms` starts it again" in shell.oms("kill", "sms")
        orders = json.loads(shell.oms("order", "list", "--json"))
        assert [order["status"] for order in orders[1:]] == ["CANCELLED", "CONFIRMED"]
        output = shell.oms("order", "watch", orders[0]["id"])
        assert "CONFIRMED" in output
        assert {part["name"]: part["state"] for part in json.loads(shell.run("status", "--json").stdout)}[
            "sms"
        ] == "dead"
    finally:
        shell.oms("down")
    assert not ports.answers(shell.shift + 9090)


def test_a_taken_port_is_named_before_anything_starts(shell: Shell) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", shell.shift + 15432))
        other.listen()
        with shell.up() as session:
            assert session.process.wait(120) == 1
            output = session.log.read_text()
    assert f"order-database needs port {shell.shift + 15432}" in output
    assert "OMS_PORT_SHIFT" in output
    assert "starting" not in output


def test_ctrl_c_during_the_start_stops_what_has_started(shell: Shell) -> None:
    with shell.up() as session:
        session.await_text("kafka: starting")
        family = psutil.Process(session.process.pid).children(recursive=True)
        assert "stopped" in session.interrupt()
    assert gone(family)


def test_callers_can_be_asked_who_they_are_on_this_machine_too(shell: Shell) -> None:
    said = shell.oms("up", "--detach", "--no-restart", "--auth", "api-key")
    try:
        assert "oms keys create" in said
        assert "OMS_CREDENTIAL" in shell.refused("demo")
        assert {part["state"] for part in json.loads(shell.oms("status", "--json"))} == {
            "ready"
        }  # it has killed nobody
        assert "(401)" in shell.refused("order", "place")
        scopes = [part for scope in ("orders:place", "orders:read") for part in ("--scope", scope)]
        made = json.loads(shell.oms("keys", "create", "--owner", "me", *scopes, "--json"))
        known = replace(shell, extra={"OMS_CREDENTIAL": made["key"]})
        assert "CONFIRMED" in known.oms("order", "place", "--watch")
        (order,) = json.loads(known.oms("order", "list", "--json"))
        first = json.loads(known.oms("order", "show", order["id"], "--json"))["timeline"][0]
        assert first["actor"] == "me"
    finally:
        shell.oms("down")
