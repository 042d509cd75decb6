"""Requests from one process to the platform that another keeps up."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from oms_platform.control import Action, Control, ask
from oms_platform.running import NotRunning, Running
from oms_servers.errors import LocalError
from oms_servers.postgres import PostgresServer


def repeat(action: str, name: str) -> str:
    return f"{action} {name}: done"


def refuse(action: str, name: str) -> str:
    raise LocalError(f"{name} does not {action}", "Ask for something else")


@contextmanager
def up(home: Path, server: PostgresServer) -> Iterator[None]:
    """A platform of one program that takes no requests."""
    running = Running(home)
    with running.alone():
        running.publish([server], ready=True)
        yield


@contextmanager
def serving(home: Path, server: PostgresServer, act: Action) -> Iterator[None]:
    """The same with its control socket."""
    ending = Event()

    def serve(control: Control) -> None:
        while not ending.is_set():
            control.serve(act, 0.05)

    with up(home, server), Control(home) as control, ThreadPoolExecutor(1) as pool:
        future = pool.submit(serve, control)
        try:
            yield
        finally:
            ending.set()
            future.result(10)


def test_a_request_is_done_and_answered(tmp_path: Path, postgres: PostgresServer) -> None:
    with serving(tmp_path, postgres, repeat):
        assert ask(tmp_path, "kill", "postgres") == "kill postgres: done"
        assert ask(tmp_path, "start", "postgres") == "start postgres: done"


def test_a_refusal_comes_with_its_advice(tmp_path: Path, postgres: PostgresServer) -> None:
    with (
        serving(tmp_path, postgres, refuse),
        pytest.raises(LocalError, match=r"postgres does not kill\. Ask for something else"),
    ):
        ask(tmp_path, "kill", "postgres")


def test_a_folder_may_lie_deeper_than_a_sockets_name_is_long(tmp_path: Path, postgres: PostgresServer) -> None:
    deep = tmp_path.joinpath(*["a-folder-in-a-folder"] * 10)
    with serving(deep, postgres, repeat):
        assert len(str(deep)) > 108
        assert ask(deep, "kill", "postgres") == "kill postgres: done"


def test_a_client_that_sends_nonsense_or_disconnects_disturbs_nobody(tmp_path: Path, postgres: PostgresServer) -> None:
    with serving(tmp_path, postgres, repeat):
        for nonsense in (b"", b"nonsense\n", b"[]\n", b'{"action": 7}\n'):
            with socket.socket(socket.AF_UNIX) as other:
                other.connect(str(tmp_path / "control"))
                other.sendall(nonsense)
        assert ask(tmp_path, "kill", "postgres") == "kill postgres: done"


def test_only_the_platforms_own_user_may_ask(tmp_path: Path, postgres: PostgresServer) -> None:
    with serving(tmp_path, postgres, repeat):
        assert (tmp_path / "control").stat().st_mode & 0o777 == 0o600


def test_what_a_killed_platform_left_is_replaced(tmp_path: Path, postgres: PostgresServer) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / "control"))
    with serving(tmp_path, postgres, repeat):
        assert ask(tmp_path, "kill", "postgres") == "kill postgres: done"
    assert not (tmp_path / "control").exists()


def test_a_file_that_is_no_socket_of_a_platform_is_not_replaced(tmp_path: Path) -> None:
    theirs = tmp_path / "control"
    theirs.write_text("theirs")
    with pytest.raises(LocalError, match=r"is in the way.*OMS_HOME"), Control(tmp_path):
        pass
    assert theirs.read_text() == "theirs"


def test_a_platform_that_still_starts_says_so(tmp_path: Path, postgres: PostgresServer) -> None:
    with up(tmp_path, postgres), pytest.raises(LocalError, match="OMS is starting or stopping"):
        ask(tmp_path, "kill", "postgres")


def test_without_a_platform_there_is_nothing_to_ask(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="`make up` starts it"):
        ask(tmp_path, "kill", "payment")


def test_a_name_that_is_unknown_is_answered_with_those_that_are_known(tmp_path: Path, postgres: PostgresServer) -> None:
    with serving(tmp_path, postgres, repeat), pytest.raises(LocalError, match="There are: postgres"):
        ask(tmp_path, "kill", "payment")
