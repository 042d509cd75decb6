"""`oms up`, before there is anything that it would start."""

import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from support.serving import serving
from support.shell import own_shell

from oms_cli import up
from oms_platform.running import Running
from oms_servers.errors import LocalError, NotReady


def start(home: Path) -> str:
    console = Console(record=True, quiet=True)
    up.detached(home, console, restart=True, auth="api-key")
    return console.export_text()


def test_what_is_up_already_is_not_taken_for_what_was_to_be_started(tmp_path: Path) -> None:
    """It may be up without asking its callers who they are."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "up.log").write_text("of the one that is up")
    running = Running(tmp_path)
    with running.alone():
        running.publish([], ready=True)
        with pytest.raises(LocalError, match="up already"):
            start(tmp_path)
    assert (tmp_path / "logs" / "up.log").read_text() == "of the one that is up"


def test_a_start_that_takes_long_is_not_said_to_have_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, end = tmp_path / "slow", tmp_path / "end"
    program.write_text(f"#!/bin/sh\nuntil [ -e {end} ]; do sleep 0.1; done\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(up, "DETACHED_SECONDS", 0.5)
    try:
        with pytest.raises(NotReady, match="goes on starting"):
            start(tmp_path / "home")
    finally:
        end.touch()


class _Trickling(BaseHTTPRequestHandler):
    """A mirror that has no end of each jar."""

    server: "_Mirror"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(1 << 40))
        self.end_headers()
        self.server.is_asked.set()
        try:
            while not self.server.has_ended.wait(0.02):
                self.wfile.write(bytes(1 << 16))
        except OSError:
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Nothing: the test says what matters."""


class _Mirror(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Trickling)
        self.is_asked, self.has_ended = threading.Event(), threading.Event()


def test_what_downloads_yet_is_shown_as_waiting_and_can_be_ended(tmp_path: Path) -> None:
    with serving(_Mirror()) as mirror, own_shell() as shell:
        address = f"http://127.0.0.1:{mirror.server_address[1]}"
        fresh = replace(shell, extra={"OMS_MAVEN_URL": address, "XDG_CACHE_HOME": str(tmp_path)})
        try:
            with fresh.up() as session:
                assert mirror.is_asked.wait(60)
                shown = fresh.oms("status")
                assert "waiting" in shown
                assert "dead" not in shown
                assert "stopped" in fresh.oms("down")
                assert session.process.wait(30) == 0
        finally:
            mirror.has_ended.set()
