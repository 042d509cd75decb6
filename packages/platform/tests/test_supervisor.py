"""What dies is started again, with real processes."""

import socket
import sys
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path

import pytest
from support.chassis import eventually

from oms_platform.supervisor import Backoff, Supervisor
from oms_servers.errors import LocalError
from oms_servers.server import Server

LASTING = "import time; print('up', flush=True); time.sleep(600)"
FAILING = "raise SystemExit('no luck')"


class Program(Server):
    """Python code that is ready when it says "up"."""

    def __init__(self, name: str, log: Path, code: str) -> None:
        super().__init__(name, log)
        self.code = code

    def command(self) -> list[str]:
        return [sys.executable, "-S", "-c", self.code]

    def is_ready(self) -> bool:
        return self.is_alive() and "up" in self.log_since_start()


SOON = Backoff(first=0.05, longest=0.2, steady=60.0)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program("payment", tmp_path / "payment.log", LASTING)
    with program:
        yield program


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(program: Program, said: list[str]) -> Supervisor:
    return Supervisor([program], SOON, said.append)


def looking(supervisor: Supervisor, condition: Callable[[], bool]) -> bool:
    """Whether the condition comes true while the supervisor looks."""

    def look() -> bool:
        supervisor.look()
        return condition()

    return eventually(look)


def test_a_killed_program_is_started_again(program: Program, supervisor: Supervisor, said: list[str]) -> None:
    before = program.pid
    supervisor.act("kill", "payment")
    assert looking(supervisor, lambda: program.state == "ready")
    assert program.pid != before
    assert said == ["payment was killed by SIGKILL; it is started again in 0 s", "payment is ready"]


def test_a_program_that_dies_at_its_start_is_started_again_and_its_last_words_are_repeated(
    program: Program, supervisor: Supervisor, said: list[str]
) -> None:
    program.code = FAILING
    supervisor.act("kill", "payment")
    assert looking(supervisor, lambda: sum("no luck" in sentence for sentence in said) >= 3)
    program.code = LASTING
    assert looking(supervisor, lambda: program.state == "ready")


def test_a_program_that_cannot_be_started_yet_is_tried_again(
    program: Program, supervisor: Supervisor, said: list[str]
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        program.listens = (other.getsockname()[1],)
        supervisor.act("kill", "payment")
        assert looking(supervisor, lambda: any("payment needs port" in sentence for sentence in said))
    assert looking(supervisor, lambda: program.state == "ready")


@pytest.mark.parametrize("before", [[], ["kill"]], ids=["running", "waiting to be started again"])
def test_what_was_stopped_is_not_started_again(program: Program, tmp_path: Path, before: list[str]) -> None:
    with Program("sms", tmp_path / "sms.log", LASTING) as other:
        both = Supervisor([program, other], SOON, lambda _: None)
        for action in (*before, "stop"):
            both.act(action, "payment")
        both.act("kill", "sms")
        assert looking(both, lambda: other.state == "ready")
        assert program.state == "stopped"
        assert both.act("start", "payment") == "started payment"
        assert looking(both, lambda: program.state == "ready")


def test_without_backoff_a_program_that_died_stays_dead_until_it_is_started(program: Program, said: list[str]) -> None:
    supervisor = Supervisor([program], None, said.append)
    assert supervisor.act("kill", "payment") == "killed payment; `oms start payment` starts it again"
    supervisor.look()
    assert program.state == "dead"
    supervisor.act("start", "payment")
    assert looking(supervisor, lambda: program.state == "ready")


def test_a_restart_is_another_process(program: Program, supervisor: Supervisor) -> None:
    before = program.pid
    assert supervisor.act("restart", "payment") == "restarted payment"
    assert program.pid not in (before, None)


@pytest.mark.parametrize(("action", "name"), [("kill", "order"), ("look", "payment"), ("__init__", "payment")])
def test_only_known_actions_on_known_programs_are_done(supervisor: Supervisor, action: str, name: str) -> None:
    with pytest.raises(LocalError, match=f"OMS cannot {action} {name}"):
        supervisor.act(action, name)


def test_the_pause_doubles_up_to_the_longest_and_begins_again_after_a_steady_run() -> None:
    backoff = Backoff(first=1.0, longest=10.0, steady=30.0)
    runs = (5.0, 5.0, 5.0, 5.0, 5.0, 31.0, 5.0)
    pauses = accumulate(runs, lambda previous, ran: backoff.after(ran, previous or None), initial=0.0)
    assert list(pauses)[1:] == [1.0, 2.0, 4.0, 8.0, 10.0, 1.0, 2.0]
