"""A place to play: what `oms` does to a platform that is up, and what the platform makes of it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from support.chassis import eventually
from support.shell import Session, Shell, own_shell

pytestmark = pytest.mark.system

BACK_WITHIN = 90.0  # seconds for a program to be back on a busy machine


@pytest.fixture(scope="module")
def playground() -> Iterator[tuple[Shell, Session]]:
    """One `oms up` for all tests here: starting it costs more than they do."""
    with own_shell() as shell, shell.up("--no-sample") as session:
        session.await_text("Ctrl-C stops OMS")
        yield shell, session
        session.interrupt()


@pytest.fixture
def shell(playground: tuple[Shell, Session]) -> Iterator[Shell]:
    """The command line of a platform on which everything runs, and does so again for the next test."""
    shell, _ = playground
    yield shell
    for name, part in parts(shell).items():
        if part["state"] == "stopped":
            shell.oms("start", name)
    assert eventually(lambda: all_ready(shell), BACK_WITHIN)


@pytest.fixture
def session(playground: tuple[Shell, Session]) -> Session:
    return playground[1]


def parts(shell: Shell) -> dict[str, dict[str, Any]]:
    return {part["name"]: part for part in json.loads(shell.run("status", "--json").stdout)}


def all_ready(shell: Shell) -> bool:
    return {part["state"] for part in parts(shell).values()} == {"ready"}


def test_what_a_kill_ends_is_started_again_and_the_terminal_says_so(shell: Shell, session: Session) -> None:
    pid = parts(shell)["sms"]["pid"]
    said = len(session.log.read_text())
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: "sms is ready" in session.log.read_text()[said:], BACK_WITHIN)
    assert "sms was killed by SIGKILL; it is started again in" in session.log.read_text()[said:]
    assert parts(shell)["sms"]["pid"] not in (pid, None)


def test_a_killed_database_comes_back_too_and_orders_go_on(shell: Shell) -> None:
    assert "killed payment-database; it is started again in" in shell.oms("kill", "payment-database")
    assert "CONFIRMED" in shell.oms("order", "place", "--watch")


def test_what_is_stopped_stays_stopped_until_it_is_started(shell: Shell) -> None:
    assert "stopped email" in shell.oms("stop", "email")
    assert "killed sms" in shell.oms("kill", "sms")
    assert eventually(lambda: parts(shell)["sms"]["state"] == "ready", BACK_WITHIN)
    assert parts(shell)["email"]["state"] == "stopped"
    assert "email does not run" in shell.refused("kill", "email")

    placed = json.loads(shell.oms("order", "place", "--json"))["id"]
    assert "CONFIRMED" in shell.oms("order", "watch", placed)
    assert shell.oms("messages", "--order", placed, "--kind", "email") == "no messages yet\n"
    assert "email is ready" in shell.oms("start", "email")
    assert eventually(lambda: "Email to" in shell.oms("messages", "--order", placed, "--kind", "email"), BACK_WITHIN)


def test_a_restart_ends_the_process_and_waits_for_the_next(shell: Shell) -> None:
    before = parts(shell)["inventory"]["pid"]
    assert "inventory is ready" in shell.oms("restart", "inventory")
    assert parts(shell)["inventory"]["pid"] != before
    assert not psutil.pid_exists(before)


def test_starting_what_runs_changes_nothing(shell: Shell) -> None:
    before = parts(shell)["order"]["pid"]
    assert "order runs already" in shell.oms("start", "order")
    assert parts(shell)["order"]["pid"] == before


def test_an_unknown_name_is_answered_with_the_known_ones(shell: Shell) -> None:
    assert "There is no program payments\nThere are: order, payment," in shell.refused("kill", "payments")


def test_the_demo_ends_well_and_again_when_the_item_is_sold_out(shell: Shell) -> None:
    for options, confirmed in ([], 6), (["--long"], 7):
        said = shell.oms("demo", *options)
        assert said.count("CONFIRMED") == confirmed + 1  # and in what is said of refunds
        assert said.count(": as promised") == 8 + len(options)
        assert "CANCELLED  payment-declined" in said
        assert "CANCELLED  out-of-stock" in said or "An item is sold out" in said
        assert "CANCELLED  customer" in said
        assert "The gateway dies after it has charged" in said
        assert "oms messages resend" in said
        assert "orderCreatedEvent fails by CheckViolation" in said
        assert "oms deadletters redrive payment" in said
        assert "All orders ended as they should" in said
    assert "Item5 was sold out: restocked" in said


def test_the_demo_fails_when_an_order_ends_otherwise_than_it_should(shell: Shell) -> None:
    items = f"http://127.0.0.1:{parts(shell)['inventory']['port']}/items"
    left = httpx2.get(f"{items}/Item1").json()["onHand"]
    taken = left - 1  # one is left: none at all would be refused before it is paid
    assert "CONFIRMED" in shell.oms("order", "place", "--item", "Item1", "--quantity", str(taken), "--watch")
    done = shell.run("demo")
    httpx2.post(f"{items}/Item1/restock", json={"quantity": taken}).raise_for_status()
    assert done.returncode == 1
    assert "NOT AS PROMISED: Ended CANCELLED (out-of-stock); expected was CONFIRMED" in done.stdout
    assert "The card is declined: as promised" in done.stdout  # it goes on
    assert "did not end as promised" in done.stderr


def test_orders_items_and_messages_are_those_of_the_urls_in_the_environment(shell: Shell, tmp_path: Path) -> None:
    ports = {name: part["port"] for name, part in parts(shell).items()}
    names = {"OMS_URL": "order", "OMS_INVENTORY_URL": "inventory", "OMS_MAILCATCHER_URL": "mailcatcher"}
    urls = {variable: f"http://127.0.0.1:{ports[name]}" for variable, name in names.items()}
    environment = {**os.environ, **urls, "OMS_HOME": str(tmp_path / "nothing-is-up-here")}

    def oms(*arguments: str) -> str:
        command = [sys.executable, "-m", "oms_cli", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120).stdout

    assert "CONFIRMED" in oms("order", "place", "--watch")
    assert "Ceylon tea" in oms("items")
    assert "to test@gmail.com" in oms("messages")
