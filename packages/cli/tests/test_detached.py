"""`oms up --detach`, without anything that it would start."""

import sys
from pathlib import Path

import pytest
from rich.console import Console

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
