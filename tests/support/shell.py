"""Runs the `oms` command as a person does, in a folder and on ports of its own."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from oms_servers.testing import memory_folder
from support.programs import PROGRAMS


def _take_ctrl_c() -> None:
    """Restore SIGINT: background commands of a shell inherit that it is ignored, unlike those of a terminal."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Shell:
    """Runs commands with a folder and ports of their own, and `extra` variables in their environment."""

    home: Path
    shift: int
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        others = {name: value for name, value in os.environ.items() if not name.startswith("OMS_")}
        return {**others, **PROGRAMS, "OMS_HOME": str(self.home), "OMS_PORT_SHIFT": str(self.shift), **self.extra}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "oms_cli", *arguments]

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = self.command(*arguments)
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=240)

    def oms(self, *arguments: str) -> str:
        """Run a command that must succeed, and return its output."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refused(self, *arguments: str) -> str:
        """Run a command that must fail, and return its message."""
        done = self.run(*arguments)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr

    @contextmanager
    def up(self, *arguments: str) -> Iterator["Session"]:
        log = self.home.with_name("up.txt")
        with log.open("w") as out:
            process = subprocess.Popen(
                self.command("up", *arguments), env=self.environment, stdout=out, stderr=out, preexec_fn=_take_ctrl_c
            )
        try:
            yield Session(process, log)
        finally:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Session:
    """A running `oms up`."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def await_text(self, text: str, within: float = 150.0) -> str:
        deadline = time.monotonic() + within
        while text not in (said := self.log.read_text()):
            assert self.process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        return said

    def interrupt(self) -> str:
        """Press Ctrl-C, and return the whole output."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(120) == 0, self.log.read_text()
        return self.log.read_text()


@contextmanager
def own_shell() -> Iterator[Shell]:
    """Yield a shell whose folder is removed afterwards."""
    with memory_folder() as folder:
        # Between the ports of `make up` and those that free_port() gives to the servers of other tests.
        yield Shell(folder / "home", 100 + secrets.randbelow(800))
