"""What one `oms up` lets every other process of this machine know."""

import threading
from pathlib import Path

import pytest

from oms_platform.running import NotRunning, Running
from oms_servers.errors import LocalError
from oms_servers.postgres import NO_FSYNC, PostgresServer
from oms_servers.testing import free_port


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


def test_a_check_of_the_lock_does_not_prevent_a_start(tmp_path: Path) -> None:
    running, ended = Running(tmp_path), threading.Event()
    with running.alone():
        pass

    def look() -> None:
        while not ended.is_set():
            Running(tmp_path).is_up()

    looking = [threading.Thread(target=look) for _ in range(2)]
    for one in looking:
        one.start()
    try:
        for _ in range(2_000):
            with running.alone():
                pass
    finally:
        ended.set()
        for one in looking:
            one.join()


def test_each_part_reports_how_it_is(tmp_path: Path, postgres: PostgresServer) -> None:
    running = Running(tmp_path)
    stopped = PostgresServer(tmp_path / "never", free_port(), settings=NO_FSYNC, name="never")
    with running.alone():
        running.publish([postgres, stopped], ready=True)
        assert running.is_ready()
        assert [(part.name, part.state()) for part in running.parts()] == [("postgres", "ready"), ("never", "waiting")]


def test_the_parts_of_nothing_say_how_to_start_it(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="`make up` starts it"):
        Running(tmp_path).parts()
