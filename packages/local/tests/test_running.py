"""What one `oms up` tells the others, and what the command line says without one."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from oms_local import folders, ports
from oms_local.errors import DiskFull, LocalError, NotRunning
from oms_local.postgres import FORGETFUL, PostgresServer
from oms_local.running import Running
from oms_local.testing import free_port
from oms_local.up import check_room


def oms(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    nowhere = f"http://127.0.0.1:{free_port()}"
    names = ("OMS_URL", "OMS_INVENTORY_URL", "OMS_INBOX_URL")
    environment = {**os.environ, "OMS_HOME": str(home), **dict.fromkeys(names, nowhere)}
    command = [sys.executable, "-m", "oms_local", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_only_one_platform_is_up_in_a_folder(tmp_path: Path) -> None:
    with (
        Running(tmp_path).alone(),
        pytest.raises(LocalError, match=r"up already.*`oms down` ends it"),
        Running(tmp_path).alone(),
    ):
        pytest.fail("two of them")


def test_it_is_up_while_the_lock_is_held(tmp_path: Path) -> None:
    running = Running(tmp_path)
    assert not running.is_up()
    with running.alone():
        assert running.is_up()
        assert not running.is_ready()
    assert not running.is_up()


def test_the_parts_tell_how_they_are(tmp_path: Path, postgres: PostgresServer) -> None:
    running = Running(tmp_path)
    stopped = PostgresServer(tmp_path / "never", free_port(), settings=FORGETFUL, name="never")
    with running.alone():
        running.tell([postgres, stopped], ready=True)
        assert running.is_ready()
        assert [(part.name, part.state()) for part in running.parts()] == [("postgres", "ready"), ("never", "dead")]


def test_status_of_nothing_says_how_to_start_it(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="`make up` starts it"):
        Running(tmp_path).parts()
    told = oms(tmp_path, "status")
    assert told.returncode == 1
    assert "OMS is not up" in told.stderr


def test_orders_of_a_platform_that_is_not_up_say_how_to_start_it(tmp_path: Path) -> None:
    told = oms(tmp_path, "order", "list")
    assert told.returncode == 1
    assert "does not answer" in told.stderr
    assert "make up" in told.stderr


def test_logs_of_an_unknown_program_name_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "order.log").write_text("one\ntwo\nthree\n")
    assert "There are: order" in oms(tmp_path, "logs", "ordre").stderr
    assert oms(tmp_path, "logs", "order", "-n", "2").stdout == "two\nthree\n"


def test_reset_removes_all_data(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "data" / "kafka").mkdir(parents=True)
    assert oms(home, "reset", "--yes").returncode == 0
    assert not home.exists()


def test_reset_refuses_while_the_platform_is_up(tmp_path: Path) -> None:
    with Running(tmp_path).alone():
        assert "`oms down` first" in oms(tmp_path, "reset", "--yes").stderr
    assert tmp_path.exists()


def test_too_little_room_is_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oms_local.up.ROOM", 1 << 60)
    with pytest.raises(DiskFull, match="MB are free on the disk of"):
        check_room(tmp_path / "not" / "there")


def test_a_free_port_is_free_and_never_given_twice() -> None:
    given = [free_port() for _ in range(50)]
    assert len(set(given)) == 50
    assert not any(ports.is_taken(port) for port in given)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has folders that Postgres's own account cannot enter")
def test_postgres_runs_for_root_in_a_folder_that_is_closed_to_others(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = PostgresServer(closed / "data", free_port(), settings=FORGETFUL)
    with server:
        assert server.folder.is_relative_to("/var/lib/oms")
        assert server.folder.stat().st_uid == (folders.unprivileged() or (0, 0))[0]
    subprocess.run(["rm", "-rf", server.folder.parent], check=True)


def test_what_is_watched_dies_with_its_owner() -> None:
    program = "import sys, time; from oms_local import guard; guard.watch(int(sys.argv[1])); time.sleep(60)"
    with subprocess.Popen(["sleep", "60"]) as watched:
        with subprocess.Popen([sys.executable, "-c", program, str(watched.pid)]) as owner:
            while not subprocess.run(["pgrep", "-P", str(owner.pid)], capture_output=True, check=False).stdout:
                pass
            owner.send_signal(signal.SIGKILL)
        assert watched.wait(10) == -signal.SIGKILL


def test_json_is_one_document_on_standard_output(tmp_path: Path, postgres: PostgresServer) -> None:
    running = Running(tmp_path)
    with running.alone():
        running.tell([postgres], ready=True)
        told = oms(tmp_path, "status", "--json")
    assert told.returncode == 0
    assert json.loads(told.stdout)[0]["state"] == "ready"
