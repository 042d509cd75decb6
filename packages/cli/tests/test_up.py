"""`oms up` as a newcomer runs it, and `oms` beside it."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from oms_servers import ports
from oms_servers.testing import temporary_folder


@dataclass(frozen=True)
class Shell:
    """Commands with a folder and ports of their own."""

    home: Path
    shift: int

    @property
    def environment(self) -> dict[str, str]:
        others = {name: value for name, value in os.environ.items() if not name.startswith("OMS_")}
        return {**others, "OMS_HOME": str(self.home), "OMS_PORT_SHIFT": str(self.shift)}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "oms_cli", *arguments]

    def oms(self, *arguments: str) -> str:
        done = subprocess.run(
            self.command(*arguments), env=self.environment, capture_output=True, text=True, check=False, timeout=180
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def up(self, *arguments: str) -> Iterator["Session"]:
        log = self.home.with_name("up.txt")
        with log.open("w") as out:
            process = subprocess.Popen(self.command("up", *arguments), env=self.environment, stdout=out, stderr=out)
        try:
            yield Session(process, log)
        finally:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Session:
    """An `oms up` that runs."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def await_text(self, text: str, within: float = 150.0) -> str:
        deadline = time.monotonic() + within
        while text not in (told := self.log.read_text()):
            assert self.process.poll() is None, told
            assert time.monotonic() < deadline, told
            time.sleep(0.05)
        return told

    def interrupt(self) -> str:
        """Ctrl-C; what was said in all."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(120) == 0, self.log.read_text()
        return self.log.read_text()


@pytest.fixture
def shell() -> Iterator[Shell]:
    with temporary_folder() as folder:
        # Between the ports of `make up` and those that free_port() gives to the servers of other tests.
        yield Shell(folder / "home", 100 + secrets.randbelow(800))


def gone(processes: Sequence[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


def test_a_newcomer_sees_an_order_confirmed_and_finds_it_again_after_a_restart(shell: Shell) -> None:
    with shell.up() as session:
        told = session.await_text("Ctrl-C stops OMS")
        family = psutil.Process(session.process.pid).children(recursive=True)
        assert "Email to test@gmail.com" in told
        assert "SMS to" in told
        assert told.index("PENDING") < told.index("PAID") < told.index("CONFIRMED")
        parts = {part["name"]: part for part in json.loads(shell.oms("status", "--json"))}
        assert {part["state"] for part in parts.values()} == {"ready"}
        assert "Ceylon tea" in shell.oms("items")
        assert "payment-declined" in shell.oms("order", "place", "--card", "4000000000000002", "--watch")

        os.kill(parts["sms"]["pid"], signal.SIGKILL)
        session.await_text("sms ended with code -9", within=10)
        assert "PENDING" in shell.oms("order", "place")
        assert "stopped" in session.interrupt()
    assert gone(family)

    shell.oms("up", "--detach", "--no-sample")
    try:
        orders = json.loads(shell.oms("order", "list", "--json"))
        assert [order["status"] for order in orders[1:]] == ["CANCELLED", "CONFIRMED"]
        told = shell.oms("order", "watch", orders[0]["id"])
        assert "CONFIRMED" in told
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
            told = session.log.read_text()
    assert f"order-database needs port {shell.shift + 15432}" in told
    assert "OMS_PORT_SHIFT" in told
    assert "starting" not in told


def test_ctrl_c_during_the_start_stops_what_has_started(shell: Shell) -> None:
    with shell.up() as session:
        session.await_text("kafka: starting")
        family = psutil.Process(session.process.pid).children(recursive=True)
        assert "stopped" in session.interrupt()
    assert gone(family)
